//! Find: every reason in a snapshot why the removal would be refused, never only the first.

use super::super::failure::{FailureClass, UpstreamFailure};
use super::super::snapshot::{PartnerModel, Snapshot, Transfer};
use super::super::subscription::SubscriptionStatus;
use super::super::time::Time;
use super::entitlement::entitlement_blockers;
use super::subscription::{azure_subscription_blocker, subscription_blocker};
use super::{Blocker, Certainty, ClearedBy, Reason, Resource, ResourceKind};

/// Every blocker in the snapshot, sorted by reason and resource, each once.
///
/// `HOLD` is not derived from a snapshot and therefore not found here.
pub fn blockers(snapshot: &Snapshot, now: Time) -> Vec<Blocker> {
    let mut found = Vec::new();
    if snapshot.not_related().is_some() {
        // Nothing of a customer that is not ours can be in the way; whoever asks decides what it means.
        return found;
    }
    for (part, failure) in snapshot.failures() {
        found.push(unreadable(snapshot, &part, failure));
    }
    if snapshot.partner_model.get() == Some(&PartnerModel::IndirectReseller) {
        found.push(indirect_reseller(snapshot));
    }
    let subscriptions = snapshot.all_subscriptions();
    for subscription in &subscriptions {
        found.extend(subscription_blocker(subscription, now));
    }
    for (plan, azure) in &snapshot.azure {
        let plan_is_active = subscriptions
            .iter()
            .any(|s| s.id == *plan && s.status == SubscriptionStatus::Active);
        for entitlement in azure.get().into_iter().flatten() {
            if plan_is_active {
                found.extend(azure_subscription_blocker(plan, entitlement));
            }
        }
    }
    for entitlement in snapshot.entitlements.get().into_iter().flatten() {
        found.extend(entitlement_blockers(entitlement, &subscriptions, now));
    }
    for transfer in snapshot.transfers.get().into_iter().flatten() {
        found.extend(transfer_blocker(snapshot, transfer));
    }
    found.sort_by_key(Blocker::key);
    found.dedup_by_key(|blocker| blocker.key());
    found
}

fn unreadable(snapshot: &Snapshot, part: &str, failure: &UpstreamFailure) -> Blocker {
    let customer = Resource {
        kind: ResourceKind::Customer,
        id: snapshot.customer.to_string().into(),
        name: "the customer".to_owned(),
    };
    match failure.class {
        FailureClass::CustomerUnderReview => {
            Blocker::new(Reason::CustomerUnderReview, customer, ClearedBy::Microsoft).says(
                format!("Microsoft is reviewing the customer: {failure}"),
                "Wait until Microsoft has finished the review, or ask Partner Center support.",
            )
        }
        FailureClass::CustomerLocked => {
            Blocker::new(Reason::CustomerLocked, customer, ClearedBy::Microsoft).says(
                format!("Microsoft has locked the customer for transactions: {failure}"),
                "Ask Partner Center support to unlock the customer.",
            )
        }
        class => {
            let cleared_by = if class.is_ours() {
                ClearedBy::Partner
            } else {
                ClearedBy::Time
            };
            let remedy = match class {
                FailureClass::Credentials => "Renew the partner's credentials.",
                FailureClass::MfaRequired => "Consent again with a user who signs in with MFA.",
                FailureClass::Forbidden => "Give the application's user the Admin Agent role.",
                _ => "Try again; nothing is removed while a part cannot be read.",
            };
            Blocker::new(
                Reason::Unreadable,
                Resource {
                    kind: ResourceKind::SnapshotPart,
                    id: part.into(),
                    name: part.to_owned(),
                },
                cleared_by,
            )
            .certainty(Certainty::Inferred)
            .says(format!("The {part} could not be read: {failure}"), remedy)
        }
    }
}

fn indirect_reseller(snapshot: &Snapshot) -> Blocker {
    Blocker::new(
        Reason::IndirectReseller,
        Resource {
            kind: ResourceKind::Partner,
            id: snapshot.partner.to_string().into(),
            name: "this partner account".to_owned(),
        },
        ClearedBy::Partner,
    )
    .says(
        "This partner account is an indirect reseller and may not remove the relationship.",
        "Ask the indirect provider to remove the relationship.",
    )
}
fn transfer_blocker(snapshot: &Snapshot, transfer: &Transfer) -> Option<Blocker> {
    // A transfer whose source upstream leaves out counts as ours: nothing may be touched under doubt.
    let from_us = transfer
        .source
        .is_none_or(|source| source == snapshot.partner);
    (from_us && transfer.is_open()).then(|| {
        Blocker::new(
            Reason::TransferPending,
            Resource {
                kind: ResourceKind::Transfer,
                id: transfer.id.clone(),
                name: transfer
                    .target_name
                    .clone()
                    .unwrap_or_else(|| "another partner".to_owned()),
            },
            ClearedBy::Partner,
        )
        .says(
            format!(
                "A transfer to {} is {}.",
                transfer.target_name.as_deref().unwrap_or("another partner"),
                transfer.status
            ),
            "Accept or decline the transfer, or wait until it lapses.",
        )
        .earliest(transfer.expires)
    })
}
