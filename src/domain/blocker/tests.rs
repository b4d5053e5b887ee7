//! Tests: what blocks, what does not, and what the plan's hash rests on.

use proptest::prelude::*;

use super::super::failure::{FailureClass, UpstreamFailure};
use super::super::ids::ResourceId;
use super::super::item::items;
use super::super::model::upstream::{Tape, Upstream, failure, legacy, partner};
use super::super::model::worker::start;
use super::super::plan::{Plan, plan};
use super::super::policy::Policy;
use super::super::snapshot::{Entitlement, EntitlementKind, Part, Reservation, Snapshot, Transfer};
use super::super::subscription::{AtTermEnd, Subscription, SubscriptionKind, SubscriptionStatus};
use super::super::time::Time;
use super::{Blocker, Reason, blockers};

const SUSPEND: Policy = Policy { suspend: true };

fn snapshot(subscriptions: Vec<Subscription>) -> Snapshot {
    Upstream::new(Tape::new(Vec::new()), subscriptions).snapshot(start())
}

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn reasons(snapshot: &Snapshot) -> Vec<Reason> {
    let found = blockers(snapshot, start());
    found.iter().map(|b| b.reason).collect()
}

fn software(id: &str) -> Subscription {
    Subscription {
        offer_id: Some("DG7GMGF0FVZ9:0001:DG7GMGF0FVZA".to_owned()),
        product_type: Some("Software".to_owned()),
        ..legacy(id, None)
    }
}

fn entitlement(kind: EntitlementKind) -> Entitlement {
    Entitlement {
        order_id: "ORDER-1".to_owned(),
        alternate_order_id: None,
        line_item_id: "0".to_owned(),
        product_id: "dg7gmgf0fvz9".to_owned(),
        sku_id: "0001".to_owned(),
        quantity: 1,
        unfulfilled: Vec::new(),
        kind,
        expires: None,
    }
}

fn owning(entitlements: Vec<Entitlement>, subscriptions: Vec<Subscription>) -> Snapshot {
    let mut snapshot = snapshot(subscriptions);
    snapshot.entitlements = Part::read(start(), entitlements);
    snapshot
}

fn reservation(state: &str) -> Part<Vec<Reservation>> {
    Part::read(
        start(),
        vec![Reservation {
            id: format!("reservation-{state}").as_str().into(),
            name: "a reservation".to_owned(),
            quantity: 1,
            provisioning_state: state.to_owned(),
            expires: None,
        }],
    )
}

#[test]
fn moments_are_said_to_the_second() {
    let later = at("2027-03-01T12:00:00.654321Z");
    let new_commerce = Subscription {
        product_type: Some("OnlineServicesNCE".to_owned()),
        cancellation_allowed_until: Some(later),
        ..legacy("n", None)
    };
    let mut owned = owning(
        vec![entitlement(EntitlementKind::Software)],
        vec![new_commerce],
    );
    let entitlements = owned.entitlements.value.as_mut().unwrap();
    entitlements[0].expires = Some(later);
    for blocker in blockers(&owned, start()) {
        let said = format!("{} {}", blocker.message, blocker.remedy);
        assert!(said.contains("2027-03-01T12:00:00Z"), "{said}");
    }
}

#[test]
fn what_can_no_longer_be_cancelled_says_until_when_it_runs() {
    let new_commerce = Subscription {
        product_type: Some("OnlineServicesNCE".to_owned()),
        term_end: Some(at("2027-03-01T12:00:00Z")),
        auto_renew: Some(true),
        ..legacy("n", None)
    };
    let found = blockers(&snapshot(vec![new_commerce]), start());
    assert!(
        found[0].message.ends_with(
            "can no longer be cancelled, runs until 2027-03-01T12:00:00Z and then renews automatically."
        ),
        "{}",
        found[0].message
    );
}

#[test]
fn what_is_over_has_nothing_ahead_of_it() {
    let of = |status| {
        let subscription = Subscription {
            status,
            auto_renew: Some(true),
            ..legacy("s", None)
        };
        items(&snapshot(vec![subscription]))[0].at_term_end
    };
    assert_eq!(of(SubscriptionStatus::Active), AtTermEnd::Renews);
    assert_eq!(of(SubscriptionStatus::Expired), AtTermEnd::Unknown);
    assert_eq!(of(SubscriptionStatus::Deleted), AtTermEnd::Unknown);
}

#[test]
fn software_listed_twice_counts_once() {
    let both = owning(
        vec![entitlement(EntitlementKind::Software)],
        vec![software("s")],
    );
    assert_eq!(reasons(&both), [Reason::SoftwarePurchaseActive]);
    let elsewhere = Subscription {
        order_id: Some("order-2".to_owned()),
        ..software("s")
    };
    let apart = owning(
        vec![entitlement(EntitlementKind::Software)],
        vec![elsewhere],
    );
    assert_eq!(blockers(&apart, start()).len(), 2);
}

#[test]
fn a_cancelled_software_subscription_does_not_hide_what_is_still_owned() {
    let cancelled = Subscription {
        status: SubscriptionStatus::Deleted,
        ..software("s")
    };
    let owned = owning(
        vec![entitlement(EntitlementKind::Software)],
        vec![cancelled],
    );
    assert_eq!(reasons(&owned), [Reason::SoftwarePurchaseActive]);
}

#[test]
fn software_blocks_until_the_day_after_a_term_that_does_not_renew() {
    let ends = |end: &str, auto_renew| Subscription {
        term_end: Some(at(end)),
        auto_renew,
        ..software("s")
    };
    let yesterday = "2026-02-28T12:00:00Z";
    let today = "2026-03-01T00:00:00Z";
    assert_eq!(reasons(&snapshot(vec![ends(yesterday, Some(false))])), []);
    // The end may be an inclusive day, and what may renew has not run out.
    for still in [
        ends(today, Some(false)),
        ends(yesterday, None),
        ends(yesterday, Some(true)),
    ] {
        assert_eq!(
            reasons(&snapshot(vec![still])),
            [Reason::SoftwarePurchaseActive]
        );
    }
    let none_left = Subscription {
        quantity: 0,
        ..software("s")
    };
    assert_eq!(reasons(&snapshot(vec![none_left])), []);
}

#[test]
fn each_artifact_of_a_reservation_stands_for_itself() {
    let of = |details| {
        owning(
            vec![entitlement(EntitlementKind::Reservation(details))],
            vec![],
        )
    };
    assert_eq!(reasons(&of(vec![reservation("Cancelled")])), []);
    let one_runs = of(vec![reservation("Cancelled"), reservation("Succeeded")]);
    assert_eq!(reasons(&one_runs), [Reason::AzureReservationActive]);
    let one_says_nothing = of(vec![reservation("Cancelled"), Part::read(start(), vec![])]);
    assert_eq!(reasons(&one_says_nothing), [Reason::AzureReservationActive]);
    let one_fails = of(vec![
        reservation("Cancelled"),
        Part::unreadable(start(), failure(FailureClass::Unavailable)),
    ]);
    assert_eq!(reasons(&one_fails), [Reason::Unreadable]);
}

#[test]
fn only_units_still_to_come_are_pending() {
    let line = |quantity| Entitlement {
        quantity: 0,
        unfulfilled: vec![(quantity, "PrefulfillmentPending".to_owned())],
        ..entitlement(EntitlementKind::Software)
    };
    assert_eq!(
        reasons(&owning(vec![line(1)], vec![])),
        [Reason::SubscriptionPending]
    );
    assert_eq!(reasons(&owning(vec![line(0)], vec![])), []);
}

#[test]
fn a_transfer_blocks_while_it_is_open_and_takes_from_us() {
    let with = |status: &str, source| {
        let mut snapshot = snapshot(vec![]);
        snapshot.transfers = Part::read(
            start(),
            vec![Transfer {
                id: "transfer".into(),
                status: status.to_owned(),
                source,
                target_name: None,
                expires: None,
            }],
        );
        reasons(&snapshot)
    };
    let other = Some("99999999-0000-4000-8000-000000000009".parse().unwrap());
    assert_eq!(with("Active", Some(partner())), [Reason::TransferPending]);
    assert_eq!(
        with("a status of tomorrow", Some(partner())),
        [Reason::TransferPending]
    );
    assert_eq!(with("Active", None), [Reason::TransferPending]);
    assert_eq!(with("Active", other), []);
    assert_eq!(with("Complete", Some(partner())), []);
}

#[test]
fn a_savings_plan_is_known_by_either_mark_and_a_legacy_trial_is_legacy() {
    let kind = |change: fn(&mut Subscription)| {
        let mut subscription = legacy("s", None);
        change(&mut subscription);
        subscription.kind()
    };
    assert_eq!(
        kind(|s| s.unit_type = "Benefit".into()),
        SubscriptionKind::SavingsPlan
    );
    assert_eq!(
        kind(|s| s.billing_type = "benefit".into()),
        SubscriptionKind::SavingsPlan
    );
    assert_eq!(kind(|s| s.is_trial = true), SubscriptionKind::Legacy);
    let new_trial = |s: &mut Subscription| {
        s.is_trial = true;
        s.product_type = Some("OnlineServicesNCE".into());
    };
    assert_eq!(kind(new_trial), SubscriptionKind::NewCommerceTrial);
    assert_eq!(
        kind(|s| s.offer_id = Some("a:b:c".into())),
        SubscriptionKind::Unknown
    );
}

#[test]
fn of_two_answers_about_one_subscription_the_livelier_counts() {
    let suspended = Subscription {
        status: SubscriptionStatus::Suspended,
        ..legacy("A356AC8C", None)
    };
    let active = legacy("a356ac8c", None);
    for both in [
        [suspended.clone(), active.clone()],
        [active.clone(), suspended.clone()],
    ] {
        let snapshot = snapshot(both.to_vec());
        assert_eq!(snapshot.all_subscriptions().len(), 1);
        assert_eq!(reasons(&snapshot), [Reason::SubscriptionActive]);
    }
    let mut under_parent = snapshot(vec![legacy("parent", None), suspended]);
    under_parent.add_ons = vec![("parent".into(), Part::read(start(), vec![active]))];
    let planned = plan(&under_parent, SUSPEND, start());
    let parents: Vec<_> = planned.actions.iter().map(|a| a.parent.clone()).collect();
    assert_eq!(
        parents,
        [Some(ResourceId::from("parent")), None],
        "the add-on goes first"
    );
}

#[test]
fn every_part_that_cannot_be_read_blocks() {
    let unreadable = || failure(FailureClass::Unavailable);
    let mut snapshots = vec![snapshot(vec![]); 6];
    snapshots[0].subscriptions = Part::unreadable(start(), unreadable());
    snapshots[1].add_ons = vec![("p".into(), Part::unreadable(start(), unreadable()))];
    snapshots[2].azure = vec![("p".into(), Part::unreadable(start(), unreadable()))];
    snapshots[3].entitlements = Part::unreadable(start(), unreadable());
    snapshots[4].transfers = Part::unreadable(start(), unreadable());
    snapshots[5].partner_model = Part::unreadable(start(), unreadable());
    for snapshot in snapshots {
        assert_eq!(reasons(&snapshot), [Reason::Unreadable]);
        assert_eq!(plan(&snapshot, SUSPEND, start()).standing().count(), 1);
    }
}

fn status() -> impl Strategy<Value = SubscriptionStatus> {
    prop::sample::select(vec![
        "active",
        "suspended",
        "pending",
        "expired",
        "disabled",
        "deleted",
        "none",
        "odd",
    ])
    .prop_map(SubscriptionStatus::from)
}

fn subscription() -> impl Strategy<Value = Subscription> {
    let product = prop::option::of(prop::sample::select(vec![
        "OnlineServicesNCE",
        "Software",
        "Azure",
        "SaaS",
    ]));
    let id = "[a-c][0-9]";
    (
        id,
        status(),
        product,
        any::<bool>(),
        prop::option::of(any::<bool>()),
        0_i64..3,
    )
        .prop_map(
            |(id, status, product, is_trial, is_microsoft_product, quantity)| Subscription {
                status,
                offer_id: product.map_or(legacy("", None).offer_id, |_| Some("a:b:c".to_owned())),
                product_type: product.map(str::to_owned),
                is_trial,
                is_microsoft_product,
                quantity,
                ..legacy(&id, None)
            },
        )
}

fn hash_of(snapshot: &Snapshot, policy: Policy) -> String {
    plan(snapshot, policy, start()).hash.to_string()
}

fn keys(found: &[Blocker]) -> Vec<(Reason, super::ResourceKind, String)> {
    found.iter().map(Blocker::key).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_but_active_legacy_is_ever_touched_and_nothing_blocks_twice(
        subscriptions in prop::collection::vec(subscription(), 0..12),
        suspend in any::<bool>(),
    ) {
        let snapshot = snapshot(subscriptions);
        let all = snapshot.all_subscriptions();
        let Plan { actions, blockers: found, .. } = plan(&snapshot, Policy { suspend }, start());
        prop_assert!(suspend || actions.is_empty());
        for action in &actions {
            let target = all.iter().find(|s| s.id == action.resource.id).unwrap();
            prop_assert_eq!(target.kind(), SubscriptionKind::Legacy);
            prop_assert_eq!(&target.status, &SubscriptionStatus::Active);
        }
        let mut once = keys(&found);
        once.dedup();
        prop_assert_eq!(once.len(), found.len());
        for active in all.iter().filter(|s| s.status == SubscriptionStatus::Active) {
            let owned = active.kind() != SubscriptionKind::Software || active.quantity > 0;
            let blocks = found.iter().any(|b| b.resource.id == active.id);
            prop_assert_eq!(blocks, owned, "{:?}", active);
        }
    }

    #[test]
    fn the_plan_hash_rests_on_ids_actions_and_reasons_alone(
        subscriptions in prop::collection::vec(subscription(), 1..8),
        seed in any::<u64>(),
    ) {
        let before = snapshot(subscriptions);
        let mut after = before.clone();
        // The same things told differently: order, case, names, dates, prices of nothing.
        let mut told = before.all_subscriptions();
        let turn = seed as usize % told.len();
        told.rotate_left(turn);
        for subscription in &mut told {
            subscription.id = ResourceId(subscription.id.as_str().to_ascii_uppercase());
            subscription.name = format!("renamed {seed}");
            subscription.auto_renew = Some(true);
            subscription.reseller_of_record = Some("else".to_owned());
        }
        after.subscriptions = Part::read(start(), told);
        after.began = at("2027-01-01T00:00:00Z");
        prop_assert_eq!(hash_of(&before, SUSPEND), hash_of(&after, SUSPEND));
        prop_assert_ne!(hash_of(&before, SUSPEND), hash_of(&before, Policy::default()));
        let mut more = before.clone();
        more.subscriptions = Part::read(
            start(),
            before.all_subscriptions().into_iter().chain([legacy("new", None)]).collect(),
        );
        prop_assert_ne!(hash_of(&before, SUSPEND), hash_of(&more, SUSPEND));
        let mut other = before.clone();
        other.customer = "44444444-0000-4000-8000-000000000004".parse().unwrap();
        prop_assert_ne!(hash_of(&before, SUSPEND), hash_of(&other, SUSPEND));
    }

    #[test]
    fn a_snapshot_with_an_unreadable_part_is_never_clear(
        subscriptions in prop::collection::vec(subscription(), 0..6),
        class in prop::sample::select(super::super::model::upstream::CLASSES.to_vec()),
    ) {
        let mut snapshot = snapshot(subscriptions);
        snapshot.transfers = Part::unreadable(start(), UpstreamFailure::new(class, "GET", "no"));
        prop_assert!(plan(&snapshot, SUSPEND, start()).standing().next().is_some());
    }
}
