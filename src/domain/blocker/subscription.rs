//! Subscriptions and what stands below Azure plans: what each means for the removal.

use jiff::SignedDuration;

use super::super::ids::ResourceId;
use super::super::rules::{Verdict, verdict};
use super::super::snapshot::AzureEntitlement;
use super::super::step::later;
use super::super::subscription::{AtTermEnd, Subscription, SubscriptionKind};
use super::super::time::Time;
use super::{Blocker, Certainty, ClearedBy, Reason, Resource, ResourceKind};

pub(super) fn subscription_blocker(subscription: &Subscription, now: Time) -> Option<Blocker> {
    let kind = subscription.kind();
    let Verdict::Blocks {
        reason,
        certainty,
        cleared_by,
    } = verdict(kind, &subscription.status)
    else {
        return None;
    };
    if reason == Reason::SoftwarePurchaseActive && software_subscription_is_gone(subscription, now)
    {
        return None;
    }
    let resource_kind = match reason {
        Reason::SoftwarePurchaseActive => ResourceKind::Software,
        _ => ResourceKind::Subscription,
    };
    let mut blocker = Blocker::new(
        reason,
        Resource {
            kind: resource_kind,
            id: subscription.id.clone(),
            name: subscription.name.clone(),
        },
        cleared_by.map_or(ClearedBy::Partner, ClearedBy::Service),
    )
    .certainty(certainty);
    blocker.term_end = subscription.term_end;
    blocker.at_term_end = subscription.at_term_end();
    let name = &subscription.name;
    Some(match reason {
        Reason::SubscriptionActive => blocker
            .says(
                format!("{name} is an active legacy subscription."),
                "Allow `suspend`, or suspend it in Partner Center.",
            )
            .earliest(Some(now)),
        Reason::SubscriptionPending => {
            let mut blocker = blocker.says(
                format!("{name} is still being provisioned."),
                "Wait until Partner Center has finished, then decide again.",
            );
            blocker.cleared_by = ClearedBy::Time;
            blocker
        }
        Reason::Unreadable => blocker.says(
            format!(
                "{name} matches no rule (productType {}, offerId {}, status {}).",
                subscription.product_type.as_deref().unwrap_or("absent"),
                subscription.offer_id.as_deref().unwrap_or("absent"),
                subscription.status
            ),
            "Look at it in Partner Center; it is never touched by this service.",
        ),
        Reason::AzurePlanActive => blocker.says(
            format!("{name} is an active Azure plan."),
            "Have every Azure subscription below it cancelled, then suspend the plan.",
        ),
        Reason::SavingsPlanActive => ends_by_itself(blocker, subscription, now, "savings plan"),
        Reason::TrialActive => {
            let until = until(subscription.term_end);
            let mut blocker = blocker.earliest(subscription.term_end);
            if subscription.at_term_end() == AtTermEnd::Ends {
                blocker.cleared_by = ClearedBy::Time;
                blocker.says(
                    format!("{name} is a trial{until}."),
                    "Wait until the trial ends.",
                )
            } else {
                blocker.says(
                    format!("{name} is a trial{until} and then turns into a paid subscription."),
                    "Set it to cancel at its end before it turns paid; a trial cannot be cancelled earlier.",
                )
            }
        }
        Reason::NewCommerceNotCancelled => {
            ends_by_itself(blocker, subscription, now, "new-commerce subscription")
        }
        Reason::MarketplaceSubscriptionActive => {
            ends_by_itself(blocker, subscription, now, "third-party subscription")
        }
        Reason::SoftwarePurchaseActive => {
            ends_by_itself(blocker, subscription, now, "software subscription")
        }
        // The table gives no other reason for a subscription.
        _ => blocker,
    })
}

/// Software counts while there is a quantity and its term has not run out.
///
/// Upstream's end may be an inclusive day, and a term's end takes it up to 24 hours (both documented by
/// Microsoft), so the day after counts too. What renews, or may, does not run out.
fn software_subscription_is_gone(subscription: &Subscription, now: Time) -> bool {
    let ran_out = subscription
        .term_end
        .is_some_and(|end| later(end, SignedDuration::from_hours(24)) <= now);
    subscription.quantity <= 0 || (ran_out && subscription.auto_renew == Some(false))
}

/// Something that can be cancelled while upstream's date allows, and otherwise only ends with its term.
fn ends_by_itself(blocker: Blocker, subscription: &Subscription, now: Time, what: &str) -> Blocker {
    let name = &subscription.name;
    let state = &subscription.status;
    let cancellable = subscription.kind() != SubscriptionKind::SavingsPlan
        && subscription
            .cancellation_allowed_until
            .is_some_and(|until| until >= now);
    if cancellable {
        return blocker
            .says(
                format!("{name} is a {what} that is {state}, not cancelled."),
                format!(
                    "Cancel it in Partner Center{}.",
                    subscription
                        .cancellation_allowed_until
                        .map_or(String::new(), |until| format!(" by {until:.0}"))
                ),
            )
            .earliest(Some(now));
    }
    let mut blocker = blocker.earliest(subscription.term_end);
    let until = until(subscription.term_end);
    match subscription.at_term_end() {
        AtTermEnd::Ends => {
            blocker.cleared_by = ClearedBy::Time;
            blocker.says(
                format!("{name} is a {what} that is {state} and runs{until}."),
                "Wait for its term end: it is set to end then.",
            )
        }
        at_term_end => blocker.says(
            format!(
                "{name} is a {what} that is {state}, can no longer be cancelled, runs{until} and then {}.",
                at_term_end.sentence()
            ),
            match subscription.kind() {
                SubscriptionKind::SavingsPlan => {
                    "Manage it in the Azure portal or transfer it to another partner."
                }
                _ => "Set it to cancel at its term end in Partner Center, then wait for that date.",
            },
        ),
    }
}

pub(super) fn until(at: Option<Time>) -> String {
    at.map_or(String::new(), |at| format!(" until {at:.0}"))
}

pub(super) fn azure_subscription_blocker(
    plan: &ResourceId,
    entitlement: &AzureEntitlement,
) -> Option<Blocker> {
    let status = entitlement.status.to_ascii_lowercase();
    let over = matches!(
        status.as_str(),
        "inactive" | "suspended" | "disabled" | "deleted" | "cancelled" | "canceled" | "expired"
    );
    let known = over || matches!(status.as_str(), "active" | "pending");
    (!over).then(|| {
        let resource = Resource {
            kind: ResourceKind::AzureSubscription,
            id: entitlement.id.clone(),
            name: entitlement.name.clone(),
        };
        if known {
            Blocker::new(
                Reason::AzureSubscriptionActive,
                resource,
                ClearedBy::Customer,
            )
            .says(
                format!(
                    "Azure subscription {} below plan {plan} is {status}.",
                    entitlement.name
                ),
                "Have its owner cancel it in Azure, or transfer it to another partner.",
            )
        } else {
            Blocker::new(Reason::Unreadable, resource, ClearedBy::Partner)
                .certainty(Certainty::Inferred)
                .says(
                    format!(
                        "Azure subscription {} has the unknown status {}.",
                        entitlement.name, entitlement.status
                    ),
                    "Look at it in Partner Center; it is never touched by this service.",
                )
        }
    })
}
