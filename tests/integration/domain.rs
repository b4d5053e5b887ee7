//! The table (kind × status × policy → what we do), against one written from the rules, and its document.

use std::fmt::Write as _;

use relationship_service::domain::blocker::{Blocker, Certainty, ClearedBy, Reason, blockers};
use relationship_service::domain::failure::{FailureClass, UpstreamFailure};
use relationship_service::domain::ids::{CustomerId, PartnerTenantId};
use relationship_service::domain::plan::{Action, plan};
use relationship_service::domain::policy::{Permission, Policy};
use relationship_service::domain::snapshot::{
    AzureEntitlement, Customer, Entitlement, EntitlementKind, Part, PartnerModel, Reservation,
    Snapshot, Standing, Transfer,
};
use relationship_service::domain::subscription::{
    Subscription, SubscriptionKind as Kind, SubscriptionStatus as Status,
};
use relationship_service::domain::time::Time;

use crate::repository;

const DOCUMENT: &str = "docs/offboarding.md";

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn now() -> Time {
    at("2026-03-01T12:00:00Z")
}

fn term_end() -> Time {
    at("2026-09-01T00:00:00Z")
}

fn partner() -> PartnerTenantId {
    "11111111-0000-4000-8000-000000000001".parse().unwrap()
}

fn customer() -> CustomerId {
    "22222222-0000-4000-8000-000000000002".parse().unwrap()
}

/// A subscription as Partner Center describes one of that kind. No wildcard: a new kind has to be thought of.
fn sample(kind: Kind, status: &Status) -> Subscription {
    let base = Subscription {
        id: "SUB-1".into(),
        name: "the subscription".to_owned(),
        product: String::new(),
        offer_id: Some("195416c1-3447-423a-b37b-ee59a99a19c4".to_owned()),
        product_type: None,
        unit_type: "Licenses".to_owned(),
        billing_type: "license".to_owned(),
        status: status.clone(),
        quantity: 1,
        is_trial: false,
        auto_renew: Some(true),
        term: "P1Y".to_owned(),
        billing_cycle: "monthly".to_owned(),
        order_id: None,
        parent: None,
        term_end: Some(term_end()),
        cancellation_allowed_until: None,
        cancels_at_term_end: false,
        next_term: None,
        scheduled_actions: None,
        refunds: Vec::new(),
        is_microsoft_product: Some(true),
        reseller_of_record: None,
    };
    let new_commerce = |product_type: &str| Subscription {
        offer_id: Some("CFQ7TTC0LH18:0001:CFQ7TTC0K971".to_owned()),
        product_type: Some(product_type.to_owned()),
        ..base.clone()
    };
    match kind {
        Kind::Legacy => base,
        Kind::LegacyUsage => Subscription {
            offer_id: Some("MS-AZR-0145P".to_owned()),
            billing_type: "usage".to_owned(),
            ..base
        },
        Kind::NewCommerce => new_commerce("OnlineServicesNCE"),
        Kind::NewCommerceTrial => Subscription {
            is_trial: true,
            ..new_commerce("OnlineServicesNCE")
        },
        Kind::Software => new_commerce("Software"),
        Kind::AzurePlan => Subscription {
            offer_id: Some("DZH318Z0BPS6:0001:DZH318Z0BMTQ".to_owned()),
            billing_type: "usage".to_owned(),
            ..new_commerce("Azure")
        },
        Kind::SavingsPlan => Subscription {
            unit_type: "Benefit".to_owned(),
            ..new_commerce("Azure")
        },
        Kind::Marketplace => Subscription {
            is_microsoft_product: Some(false),
            ..new_commerce("SaaS")
        },
        Kind::Unknown => new_commerce("SomethingNew"),
    }
}

fn snapshot(subscriptions: Vec<Subscription>) -> Snapshot {
    let now = now();
    Snapshot {
        partner: partner(),
        customer: customer(),
        began: now,
        standing: Part::read(
            now,
            Standing::Related(Customer {
                name: "Contoso".to_owned(),
                domain: "contoso.example".to_owned(),
                relationship: "reseller".to_owned(),
                delegated_admin: None,
            }),
        ),
        subscriptions: Part::read(now, subscriptions),
        add_ons: Vec::new(),
        azure: Vec::new(),
        entitlements: Part::read(now, Vec::new()),
        transfers: Part::read(now, Vec::new()),
        partner_model: Part::read(now, PartnerModel::MayRemove),
    }
}

/// Every status, and two that upstream may write and no rule knows. No wildcard either.
fn statuses() -> Vec<Status> {
    let all = [
        Status::Active,
        Status::Suspended,
        Status::Pending,
        Status::Expired,
        Status::Disabled,
        Status::Deleted,
        Status::Other("none".to_owned()),
        Status::Other("attentionNeeded".to_owned()),
    ];
    for status in &all {
        match status {
            Status::Active
            | Status::Suspended
            | Status::Pending
            | Status::Expired
            | Status::Disabled
            | Status::Deleted
            | Status::Other(_) => {}
        }
    }
    all.to_vec()
}

/// Every policy: each permission on and off.
fn policies() -> Vec<Policy> {
    let mut all = vec![Policy::default()];
    for permission in Permission::ALL {
        let with: Vec<Policy> = all
            .iter()
            .map(|without| {
                let mut with = *without;
                match permission {
                    Permission::Suspend => with.suspend = true,
                }
                with
            })
            .collect();
        all.extend(with);
    }
    all
}

/// The rules as written: per kind what active, suspended, pending, over (expired, disabled, deleted) and
/// any other status mean. `-`: not in the way. D documented, I inferred; `suspend`: what may clear it.
const RULES: &[(Kind, [&str; 5])] = &[
    (
        Kind::Legacy,
        [
            "SUBSCRIPTION_ACTIVE D suspend",
            "-",
            "SUBSCRIPTION_PENDING I",
            "-",
            "UNREADABLE I",
        ],
    ),
    (
        Kind::LegacyUsage,
        [
            "SUBSCRIPTION_ACTIVE D suspend",
            "-",
            "SUBSCRIPTION_PENDING I",
            "-",
            "UNREADABLE I",
        ],
    ),
    (
        Kind::NewCommerce,
        [
            "NEW_COMMERCE_NOT_CANCELLED D",
            "NEW_COMMERCE_NOT_CANCELLED D",
            "SUBSCRIPTION_PENDING I",
            "-",
            "UNREADABLE I",
        ],
    ),
    (
        Kind::NewCommerceTrial,
        [
            "TRIAL_ACTIVE D",
            "TRIAL_ACTIVE I",
            "SUBSCRIPTION_PENDING I",
            "-",
            "UNREADABLE I",
        ],
    ),
    (
        Kind::Software,
        [
            "SOFTWARE_PURCHASE_ACTIVE D",
            "SOFTWARE_PURCHASE_ACTIVE I",
            "SUBSCRIPTION_PENDING I",
            "-",
            "UNREADABLE I",
        ],
    ),
    (
        Kind::AzurePlan,
        [
            "AZURE_PLAN_ACTIVE D",
            "-",
            "SUBSCRIPTION_PENDING I",
            "-",
            "UNREADABLE I",
        ],
    ),
    (
        Kind::SavingsPlan,
        [
            "SAVINGS_PLAN_ACTIVE D",
            "SAVINGS_PLAN_ACTIVE I",
            "SUBSCRIPTION_PENDING I",
            "-",
            "UNREADABLE I",
        ],
    ),
    (
        Kind::Marketplace,
        [
            "MARKETPLACE_SUBSCRIPTION_ACTIVE D",
            "MARKETPLACE_SUBSCRIPTION_ACTIVE I",
            "SUBSCRIPTION_PENDING I",
            "-",
            "UNREADABLE I",
        ],
    ),
    (
        Kind::Unknown,
        [
            "UNREADABLE I",
            "UNREADABLE I",
            "UNREADABLE I",
            "-",
            "UNREADABLE I",
        ],
    ),
];

fn rule(kind: Kind, status: &Status) -> &'static str {
    let rows: Vec<_> = RULES.iter().filter(|(k, _)| *k == kind).collect();
    assert_eq!(rows.len(), 1, "{kind:?} has one row");
    let column = match status {
        Status::Active => 0,
        Status::Suspended => 1,
        Status::Pending => 2,
        Status::Expired | Status::Disabled | Status::Deleted => 3,
        Status::Other(_) => 4,
    };
    rows[0].1[column]
}

#[test]
fn every_kind_in_every_status_under_every_policy_is_treated_as_the_rules_say() {
    assert_eq!(RULES.len(), Kind::ALL.len());
    for kind in Kind::ALL {
        for status in statuses() {
            let subscription = sample(kind, &status);
            assert_eq!(subscription.kind(), kind, "the sample is one");
            let rule = rule(kind, &status);
            for policy in policies() {
                let plan = plan(&snapshot(vec![subscription.clone()]), policy, now());
                let what = format!("{kind:?} {status} {policy:?}");
                let mut words = rule.split(' ');
                let reason = words.next().unwrap();
                if reason == "-" {
                    assert_eq!(plan.blockers, [], "{what}");
                    assert_eq!(plan.actions, [], "{what}");
                    continue;
                }
                assert_eq!(plan.blockers.len(), 1, "{what}: {:?}", plan.blockers);
                let blocker = &plan.blockers[0];
                assert_eq!(blocker.reason.as_str(), reason, "{what}");
                let certainty = match words.next().unwrap() {
                    "D" => Certainty::Documented,
                    "I" => Certainty::Inferred,
                    other => panic!("{other}"),
                };
                assert_eq!(blocker.certainty, certainty, "{what}");
                let clears = words.next() == Some("suspend") && policy.suspend;
                let actions: Vec<Action> = plan.actions.iter().map(|a| a.action).collect();
                let expected = if clears {
                    vec![Action::Suspend]
                } else {
                    vec![]
                };
                assert_eq!(actions, expected, "{what}");
                assert_eq!(plan.standing().count(), usize::from(!clears), "{what}");
                for text in [&blocker.message, &blocker.remedy] {
                    assert!(text.ends_with('.') && text.len() > 10, "{what}: {text:?}");
                }
                let service = matches!(blocker.cleared_by, ClearedBy::Service(_));
                assert_eq!(service, rule.ends_with("suspend"), "{what}");
            }
        }
    }
}

fn certainty(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Documented => "documented",
        Certainty::Inferred => "inferred",
    }
}

fn who(by: ClearedBy) -> &'static str {
    match by {
        ClearedBy::Service(_) => "this service",
        ClearedBy::Partner => "the partner",
        ClearedBy::Customer => "the customer",
        ClearedBy::Microsoft => "Microsoft",
        ClearedBy::Time => "time",
    }
}

fn policy_of(by: ClearedBy) -> String {
    match by {
        ClearedBy::Service(permission) => format!("`{}`", permission.as_str()),
        ClearedBy::Partner | ClearedBy::Customer | ClearedBy::Microsoft | ClearedBy::Time => {
            "none".to_owned()
        }
    }
}

fn from_when(blocker: &Blocker) -> &'static str {
    match blocker.earliest {
        Some(earliest) if earliest == now() => "now",
        Some(earliest) if earliest == term_end() => "its end",
        Some(earliest) => panic!("{earliest} is no date of the samples"),
        None => "not known",
    }
}

fn cells(found: &[Blocker]) -> String {
    match found {
        [] => "no | | | | |".to_owned(),
        [blocker] => {
            format!(
                "yes | `{}` | {} | {} | {} | {}",
                blocker.reason,
                certainty(blocker.certainty),
                who(blocker.cleared_by),
                policy_of(blocker.cleared_by),
                from_when(blocker)
            ) + " |"
        }
        several => panic!("one at a time: {several:?}"),
    }
}

/// What the same kind and status may look like besides: what can be cancelled, and what happens at the end.
fn situations(subscription: &Subscription) -> Vec<(&'static str, Subscription)> {
    vec![
        (
            "can still be cancelled",
            Subscription {
                cancellation_allowed_until: Some(term_end()),
                ..subscription.clone()
            },
        ),
        (
            "is set to end with its term",
            Subscription {
                cancels_at_term_end: true,
                auto_renew: Some(false),
                ..subscription.clone()
            },
        ),
        (
            "does not renew, and no cancellation is scheduled",
            Subscription {
                auto_renew: Some(false),
                ..subscription.clone()
            },
        ),
        ("renews, or turns paid", subscription.clone()),
    ]
}

fn subscription_rows() -> String {
    let mut rows = String::new();
    for kind in Kind::ALL {
        for status in statuses() {
            let mut found: Vec<(&str, String)> = situations(&sample(kind, &status))
                .into_iter()
                .map(|(when, s)| (when, cells(&blockers(&snapshot(vec![s]), now()))))
                .collect();
            if found.iter().all(|(_, cells)| *cells == found[0].1) {
                found = vec![("any", found[0].1.clone())];
            }
            for (when, cells) in found {
                writeln!(
                    rows,
                    "| `{}` | `{status}` | {when} | {cells}",
                    kind.as_str()
                )
                .unwrap();
            }
        }
    }
    rows
}

fn entitlement(kind: EntitlementKind, expires: Option<Time>) -> Entitlement {
    Entitlement {
        order_id: "order".to_owned(),
        alternate_order_id: None,
        line_item_id: "0".to_owned(),
        product_id: "DG7GMGF0FVZ9".to_owned(),
        sku_id: "0001".to_owned(),
        quantity: 1,
        unfulfilled: Vec::new(),
        kind,
        expires,
    }
}

fn reservation(state: &str) -> EntitlementKind {
    EntitlementKind::Reservation(vec![Part::read(
        now(),
        vec![Reservation {
            id: "reservation".into(),
            name: "a reservation".to_owned(),
            quantity: 1,
            provisioning_state: state.to_owned(),
            expires: Some(term_end()),
        }],
    )])
}

/// Everything that is no subscription, each alone in the way.
fn other_cases() -> Vec<(String, Snapshot)> {
    let mut cases: Vec<(String, Snapshot)> = Vec::new();
    let mut owns = |what: &str, entitlement: Entitlement| {
        let mut snapshot = snapshot(Vec::new());
        snapshot.entitlements = Part::read(now(), vec![entitlement]);
        cases.push((what.to_owned(), snapshot));
    };
    owns(
        "reservation, `Succeeded`",
        entitlement(reservation("Succeeded"), None),
    );
    owns(
        "reservation, `Cancelled`",
        entitlement(reservation("Cancelled"), None),
    );
    owns(
        "reservation, `Expired`",
        entitlement(reservation("Expired"), None),
    );
    owns(
        "reservation without detail",
        entitlement(EntitlementKind::Reservation(Vec::new()), Some(term_end())),
    );
    owns(
        "software, perpetual",
        entitlement(EntitlementKind::Software, None),
    );
    owns(
        "software, with a term",
        entitlement(EntitlementKind::Software, Some(term_end())),
    );
    owns(
        "software, expired",
        entitlement(EntitlementKind::Software, Some(at("2026-02-01T00:00:00Z"))),
    );
    owns(
        "software, quantity 0",
        Entitlement {
            quantity: 0,
            ..entitlement(EntitlementKind::Software, None)
        },
    );
    owns(
        "software, still being fulfilled",
        Entitlement {
            quantity: 0,
            unfulfilled: vec![(1, "PrefulfillmentPending".to_owned())],
            ..entitlement(EntitlementKind::Software, None)
        },
    );
    owns(
        "entitlement of a type no rule knows",
        entitlement(EntitlementKind::Other("new".to_owned()), None),
    );
    for (status, source) in [
        ("Active", Some(partner())),
        ("Active", None),
        (
            "Active",
            Some("99999999-0000-4000-8000-000000000009".parse().unwrap()),
        ),
        ("Completed", Some(partner())),
    ] {
        let mut snapshot = snapshot(Vec::new());
        snapshot.transfers = Part::read(
            now(),
            vec![Transfer {
                id: "transfer".into(),
                status: status.to_owned(),
                source,
                target_name: Some("another partner".to_owned()),
                expires: Some(term_end()),
            }],
        );
        let whose = match source {
            Some(source) if source == partner() => "from us",
            Some(_) => "from another partner",
            None => "without a source",
        };
        cases.push((format!("transfer {whose}, `{status}`"), snapshot));
    }
    let mut indirect = snapshot(Vec::new());
    indirect.partner_model = Part::read(now(), PartnerModel::IndirectReseller);
    cases.push(("the account is an indirect reseller".to_owned(), indirect));
    for class in [
        FailureClass::CustomerUnderReview,
        FailureClass::CustomerLocked,
        FailureClass::Credentials,
        FailureClass::MfaRequired,
        FailureClass::Forbidden,
        FailureClass::Unavailable,
    ] {
        let mut snapshot = snapshot(Vec::new());
        snapshot.subscriptions =
            Part::unreadable(now(), UpstreamFailure::new(class, "GET", "refused"));
        cases.push((
            format!("a part cannot be read: `{}`", class.as_str()),
            snapshot,
        ));
    }
    cases
}

fn azure_rows() -> String {
    let mut rows = String::new();
    for plan_status in [Status::Active, Status::Suspended] {
        for status in ["active", "inactive", "suspended", "something new"] {
            let plan = sample(Kind::AzurePlan, &plan_status);
            let mut snapshot = snapshot(vec![plan.clone()]);
            snapshot.azure = vec![(
                plan.id,
                Part::read(
                    now(),
                    vec![AzureEntitlement {
                        id: "azure".into(),
                        name: "production".to_owned(),
                        status: status.to_owned(),
                    }],
                ),
            )];
            let found: Vec<Blocker> = blockers(&snapshot, now())
                .into_iter()
                .filter(|b| b.reason != Reason::AzurePlanActive)
                .collect();
            let cells = cells(&found);
            writeln!(
                rows,
                "| Azure subscription, `{status}`, below a plan that is `{plan_status}` | {cells}"
            )
            .unwrap();
        }
    }
    rows
}

fn document() -> String {
    let mut others = String::new();
    for (what, snapshot) in other_cases() {
        writeln!(others, "| {what} | {}", cells(&blockers(&snapshot, now()))).unwrap();
    }
    let subscriptions = subscription_rows();
    let azure = azure_rows();
    format!(
        "# What stands in the way of a removal\n\
\n\
This file is printed from the code that decides, and a test compares the two. To print it again after a\n\
change of the rules: `UPDATE_DOCS=1 cargo test --test integration domain::`.\n\
\n\
A removal is sent only when nothing in these tables says yes. All blockers are found at once.\n\
\"Documented\" means that Microsoft says so, \"inferred\" that we conclude it. \"From when\" is upstream's own\n\
date, never a window that we assume; \"now\" means as soon as somebody acts.\n\
\n\
## Subscriptions\n\
\n\
The situations are what else Partner Center says of a subscription; \"any\" holds whatever that is. A\n\
date under \"from when\" is when a term ends: whatever renews or is extended then goes on blocking.\n\
\n\
| kind | status | situation | in the way | reason | certainty | who clears it | policy | from when |\n\
|---|---|---|---|---|---|---|---|---|\n\
{subscriptions}\n\
## Everything else\n\
\n\
| what | in the way | reason | certainty | who clears it | policy | from when |\n\
|---|---|---|---|---|---|---|\n\
{azure}{others}\n\
Two more reasons come from what was tried and agreed, not from what was read: `UPSTREAM_REFUSED` (Microsoft\n\
refused for a reason not in this list; the answer stands in the record) and `PLAN_CHANGED` (something new that\n\
the accepted plan does not cover).\n"
    )
}

#[test]
fn the_document_says_what_the_code_does() {
    let printed = document();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|on| on == "1") {
        std::fs::write(repository::root().join(DOCUMENT), &printed).unwrap();
    }
    let written = repository::read(DOCUMENT);
    for (line, (printed, written)) in (1..).zip(printed.lines().zip(written.lines())) {
        assert_eq!(
            written, printed,
            "{DOCUMENT}:{line}: UPDATE_DOCS=1 prints it again"
        );
    }
    assert_eq!(
        written.len(),
        printed.len(),
        "{DOCUMENT} is cut, or has more lines"
    );
}
