//! Snapshot: everything about a customer in two dependent round trips.

use futures::future::join_all;

use super::relationships::{self, ModelCache};
use super::request::Api;
use super::{customers, entitlements, subscriptions, transfers};
use crate::application::upstream::Call;
use crate::domain::failure::UpstreamFailure;
use crate::domain::ids::CustomerId;
use crate::domain::snapshot::{Part, Snapshot, Standing};
use crate::domain::subscription::{Subscription, SubscriptionKind, SubscriptionStatus};

async fn part<T>(api: &Api, read: impl Future<Output = Result<T, UpstreamFailure>>) -> Part<T> {
    let value = read.await;
    Part {
        at: api.now(),
        value,
    }
}

/// Reads what does not depend on anything side by side, then what follows from it side by side.
///
/// A customer that is gone has no other part: each is marked unreadable with the same answer, never
/// empty.
pub(super) async fn take(
    api: &Api,
    cache: &ModelCache,
    customer: CustomerId,
    call: &Call,
) -> Snapshot {
    let began = api.now();
    let (standing, subscriptions, listed, transfers, partner_model) = futures::join!(
        part(api, customers::standing(api, customer, call)),
        part(api, subscriptions::list(api, customer, call)),
        part(api, entitlements::list(api, customer, call)),
        part(api, transfers::list(api, customer, call)),
        relationships::model(api, cache, call),
    );
    let mut snapshot = Snapshot {
        partner: api.settings.tenant,
        customer,
        began,
        standing,
        subscriptions,
        add_ons: Vec::new(),
        azure: Vec::new(),
        entitlements: Part {
            at: listed.at,
            value: Ok(Vec::new()),
        },
        transfers,
        partner_model,
    };
    if let Some(Standing::NotRelated(gone)) = snapshot.standing.get() {
        let (gone, at) = (gone.clone(), snapshot.standing.at);
        snapshot.subscriptions = Part::unreadable(at, gone.clone());
        snapshot.entitlements = Part::unreadable(at, gone.clone());
        snapshot.transfers = Part::unreadable(at, gone);
        return snapshot;
    }
    let all = snapshot.subscriptions.get().map_or(&[][..], Vec::as_slice);
    let (add_ons, azure, entitlements) = futures::join!(
        join_all(
            all.iter()
                .filter(|one| may_have_add_ons(one))
                .map(async |one| {
                    let read = subscriptions::add_ons(api, customer, &one.id, call);
                    (one.id.clone(), part(api, read).await)
                })
        ),
        join_all(
            all.iter()
                .filter(|one| is_live_azure_plan(one))
                .map(async |one| {
                    let read = subscriptions::azure_entitlements(api, customer, &one.id, call);
                    (one.id.clone(), part(api, read).await)
                })
        ),
        async {
            match listed.value {
                Ok(items) => {
                    let items = entitlements::with_reservations(api, customer, items, call).await;
                    Part::read(listed.at, items)
                }
                Err(failure) => Part::unreadable(listed.at, failure),
            }
        },
    );
    snapshot.add_ons = add_ons;
    snapshot.azure = azure;
    snapshot.entitlements = entitlements;
    snapshot
}

/// Legacy licences that are not over and are no add-ons themselves; new-commerce add-ons are listed
/// as subscriptions of their own.
fn may_have_add_ons(one: &Subscription) -> bool {
    one.kind() == SubscriptionKind::Legacy && !one.status.is_over() && one.parent.is_none()
}

fn is_live_azure_plan(one: &Subscription) -> bool {
    one.kind() == SubscriptionKind::AzurePlan && one.status == SubscriptionStatus::Active
}
