//! What every implementation of the store must do: one list of tests, run against each.
//!
//! A test gets a store that holds nothing. Claims that have to be expired are taken with a lease of
//! zero, so that no test waits for a clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use relationship_service::application::store::{
    Acceptance, Append, Appender, Change, FORMAT, KnownRequest, Store, StoreError,
};
use relationship_service::domain::ids::{CallerId, OffboardingId, RequestId};
use uuid::Uuid;

use super::fixture::{
    LONG, accepted_due, append, at, claim_one, columns, ended, event, new, partner, shows, worker,
};

/// Makes a test of each contract for the stores that `$fresh` (an async function that gives a guard
/// with a `store()`) opens.
macro_rules! contract {
    ($fresh:path) => {
        $crate::store::contract::contract! {
            $fresh:
            contract::what_was_accepted_is_found_again,
            contract::a_repeated_request_gets_the_first_offboarding,
            contract::a_request_id_belongs_to_its_caller,
            contract::one_unfinished_offboarding_per_customer,
            contract::parallel_duplicates_all_get_the_winner,
            contract::of_parallel_requests_for_one_customer_one_is_accepted,
            contract::an_append_after_somebody_elses_is_a_conflict,
            contract::an_append_needs_the_newest_claim,
            contract::an_append_needs_an_unexpired_claim,
            contract::an_append_to_nothing_is_not_found,
            contract::an_append_without_events_changes_the_columns_only,
            contract::a_log_with_a_gap_is_refused,
            contract::parallel_control_events_never_share_a_sequence,
            contract::a_control_event_closes_the_gate_and_leaves_the_claim,
            contract::the_gate_asks_how_long_the_claim_lasts,
            contract::claims_of_many_workers_are_disjoint,
            contract::the_longest_due_is_claimed_first,
            contract::due_is_asked_of_each_partners_own_clock,
            contract::other_partners_and_newer_formats_are_left_alone,
            contract::what_is_never_due_is_never_claimed,
            contract::an_expired_claim_is_taken_over_with_a_higher_fence,
            contract::a_released_offboarding_can_be_claimed_at_once,
            contract::a_late_release_does_not_touch_the_new_claim,
            contract::only_held_claims_are_renewed,
            contract::next_due_knows_when_something_can_be_claimed,
            contract::events_are_paged_in_order,
            contract::an_earlier_removal_is_the_newest_that_ended,
            contract::changes_are_announced_after_their_commit,
            lists::filters_agree_with_a_plain_search,
            lists::pages_join_without_gap_or_repetition,
            lists::blockers_are_found_as_they_stand_now,
        }
    };
    ($fresh:path: $($module:ident::$name:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let fresh = $fresh().await;
                $crate::store::$module::$name(fresh.store()).await;
                fresh.finish().await;
            }
        )+
    };
}
pub(crate) use contract;

pub(crate) async fn what_was_accepted_is_found_again(store: Arc<dyn Store>) {
    let mut new = new(partner());
    new.events = vec![event(1, "accepted"), event(2, "snapshot_taken")];
    assert_eq!(
        store.unfinished(new.partner, new.customer).await.unwrap(),
        None
    );
    assert_eq!(
        store.accept(new.clone()).await.unwrap(),
        Acceptance::Accepted
    );

    let row = store.load(new.id).await.unwrap().unwrap();
    assert_eq!(row.id, new.id);
    assert_eq!(row.sequence, 2);
    assert_eq!(row.head, new.events[1].hash);
    assert_eq!(row.created, new.created);
    assert_eq!(row.caller, new.caller);
    assert_eq!(row.fold, new.columns.fold);
    assert_eq!(row.format, new.columns.format);
    assert_eq!(row.due, new.columns.due);
    assert_eq!(store.events(new.id, 0, 10).await.unwrap(), new.events);
    assert_eq!(
        store.unfinished(new.partner, new.customer).await.unwrap(),
        Some(new.id)
    );
    let known = store.known_request(&new.caller, new.request_id).await;
    assert_eq!(
        known.unwrap(),
        Some(KnownRequest {
            id: new.id,
            request_digest: new.request_digest
        })
    );
    let nobody = OffboardingId(Uuid::now_v7());
    assert_eq!(store.load(nobody).await.unwrap(), None);
    assert_eq!(store.events(nobody, 0, 10).await.unwrap(), []);
    store.ready().await.unwrap();
}

pub(crate) async fn a_repeated_request_gets_the_first_offboarding(store: Arc<dyn Store>) {
    let first = new(partner());
    store.accept(first.clone()).await.unwrap();
    // The request decides before the customer does: here both would match.
    let mut again = first.clone();
    again.id = OffboardingId(Uuid::now_v7());
    again.request_digest = [4; 32];
    assert_eq!(
        store.accept(again.clone()).await.unwrap(),
        Acceptance::Repeated(KnownRequest {
            id: first.id,
            request_digest: first.request_digest
        })
    );
    assert_eq!(store.load(again.id).await.unwrap(), None);
    assert_eq!(store.events(again.id, 0, 10).await.unwrap(), []);
}

pub(crate) async fn a_request_id_belongs_to_its_caller(store: Arc<dyn Store>) {
    let first = new(partner());
    store.accept(first.clone()).await.unwrap();
    let mut other = new(partner());
    other.caller = CallerId("billing".to_owned());
    other.request_id = first.request_id;
    assert_eq!(
        store.accept(other.clone()).await.unwrap(),
        Acceptance::Accepted
    );
    let known = store.known_request(&other.caller, first.request_id).await;
    assert_eq!(known.unwrap().unwrap().id, other.id);
    let nobody = CallerId("crm".to_owned());
    let known = store.known_request(&nobody, first.request_id).await;
    assert_eq!(known.unwrap(), None);
}

pub(crate) async fn one_unfinished_offboarding_per_customer(store: Arc<dyn Store>) {
    let first = new(partner());
    store.accept(first.clone()).await.unwrap();
    let mut second = new(first.partner);
    second.customer = first.customer;
    assert_eq!(
        store.accept(second.clone()).await.unwrap(),
        Acceptance::Busy(first.id)
    );
    // What was not accepted is not remembered either.
    let known = store.known_request(&second.caller, second.request_id).await;
    assert_eq!(known.unwrap(), None);
    // Another partner may have the same customer.
    let mut elsewhere = new(partner());
    elsewhere.customer = first.customer;
    assert_eq!(store.accept(elsewhere).await.unwrap(), Acceptance::Accepted);

    let mut end = append(first.id, 1, Appender::Control);
    end.columns = ended(2, false);
    store.append(end).await.unwrap();
    assert_eq!(
        store
            .unfinished(first.partner, first.customer)
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.accept(second).await.unwrap(), Acceptance::Accepted);
}

pub(crate) async fn parallel_duplicates_all_get_the_winner(store: Arc<dyn Store>) {
    let first = new(partner());
    let answers = join_all((0..24).map(|_| {
        let mut new = first.clone();
        new.id = OffboardingId(Uuid::now_v7());
        let store = Arc::clone(&store);
        async move { (new.id, store.accept(new).await.unwrap()) }
    }))
    .await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| *answer == Acceptance::Accepted)
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(winners.len(), 1);
    for (id, answer) in answers {
        if id != winners[0] {
            assert_eq!(
                answer,
                Acceptance::Repeated(KnownRequest {
                    id: winners[0],
                    request_digest: first.request_digest
                })
            );
        }
    }
}

pub(crate) async fn of_parallel_requests_for_one_customer_one_is_accepted(store: Arc<dyn Store>) {
    let first = new(partner());
    let answers = join_all((0..24).map(|_| {
        let mut new = first.clone();
        new.id = OffboardingId(Uuid::now_v7());
        new.request_id = RequestId(Uuid::new_v4());
        let store = Arc::clone(&store);
        async move { store.accept(new).await.unwrap() }
    }))
    .await;
    let holder = store.unfinished(first.partner, first.customer).await;
    let holder = holder.unwrap().unwrap();
    let count = |wanted: Acceptance| answers.iter().filter(|it| **it == wanted).count();
    assert_eq!(count(Acceptance::Accepted), 1);
    assert_eq!(count(Acceptance::Busy(holder)), 23);
}

pub(crate) async fn an_append_after_somebody_elses_is_a_conflict(store: Arc<dyn Store>) {
    let partner = partner();
    let id = accepted_due(&*store, partner, 0).await;
    let claim = claim_one(&store, partner, LONG).await;
    store
        .append(append(id, 1, worker(claim.fence)))
        .await
        .unwrap();
    for by in [worker(claim.fence), Appender::Control] {
        let mut late = append(id, 1, by);
        late.events[0].kind = "late".to_owned();
        late.columns.fold = "late".to_owned();
        let refused = store.append(late).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    }
    let row = store.load(id).await.unwrap().unwrap();
    assert_eq!((row.sequence, row.fold), (2, columns(2).fold));
    assert_eq!(
        store.events(id, 0, 10).await.unwrap(),
        [event(1, "accepted"), event(2, "step")]
    );
}

pub(crate) async fn an_append_needs_the_newest_claim(store: Arc<dyn Store>) {
    let partner = partner();
    let id = accepted_due(&*store, partner, 0).await;
    let old = claim_one(&store, partner, Duration::ZERO).await;
    let fresh = claim_one(&store, partner, LONG).await;
    assert!(fresh.fence > old.fence);
    let refused = store.append(append(id, 1, worker(old.fence))).await;
    assert!(matches!(refused, Err(StoreError::ClaimLost)), "{refused:?}");
    store
        .append(append(id, 1, worker(fresh.fence)))
        .await
        .unwrap();
    // Also when the sequence is wrong: who lost the claim must not fold and try again.
    let refused = store.append(append(id, 1, worker(old.fence))).await;
    assert!(matches!(refused, Err(StoreError::ClaimLost)), "{refused:?}");
}

pub(crate) async fn an_append_needs_an_unexpired_claim(store: Arc<dyn Store>) {
    let partner = partner();
    let id = accepted_due(&*store, partner, 0).await;
    let unclaimed = store.append(append(id, 1, worker(0))).await;
    assert!(matches!(unclaimed, Err(StoreError::ClaimLost)));
    let claim = claim_one(&store, partner, Duration::ZERO).await;
    // Nobody has taken it over, and still it is lost.
    let refused = store.append(append(id, 1, worker(claim.fence))).await;
    assert!(matches!(refused, Err(StoreError::ClaimLost)), "{refused:?}");
    assert_eq!(store.load(id).await.unwrap().unwrap().sequence, 1);
}

pub(crate) async fn an_append_to_nothing_is_not_found(store: Arc<dyn Store>) {
    for by in [worker(1), Appender::Control] {
        let refused = store
            .append(append(OffboardingId(Uuid::now_v7()), 1, by))
            .await;
        assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    }
}

pub(crate) async fn an_append_without_events_changes_the_columns_only(store: Arc<dyn Store>) {
    let partner = partner();
    let id = accepted_due(&*store, partner, 0).await;
    let claim = claim_one(&store, partner, LONG).await;
    let before = store.load(id).await.unwrap().unwrap();
    let mut changed = columns(1);
    changed.due = Some(at(500));
    store
        .append(Append {
            id,
            after: 1,
            by: Appender::Worker {
                fence: claim.fence,
                release: true,
            },
            events: Vec::new(),
            columns: changed,
        })
        .await
        .unwrap();
    let after = store.load(id).await.unwrap().unwrap();
    assert_eq!(after.due, Some(at(500)));
    assert_eq!((after.sequence, after.head), (before.sequence, before.head));
    // Released, and not due before its time.
    assert_eq!(
        store.claim(&[shows(partner, 499)], 9, LONG).await.unwrap(),
        []
    );
    let again = store.claim(&[shows(partner, 500)], 9, LONG).await.unwrap();
    assert_eq!(again[0].fence, claim.fence + 1);
}

pub(crate) async fn a_log_with_a_gap_is_refused(store: Arc<dyn Store>) {
    let id = accepted_due(&*store, partner(), 0).await;
    let mut gap = append(id, 1, Appender::Control);
    gap.events = vec![event(2, "step"), event(4, "step")];
    assert!(store.append(gap).await.is_err());
    assert_eq!(store.load(id).await.unwrap().unwrap().sequence, 1);
    assert_eq!(
        store.events(id, 0, 10).await.unwrap(),
        [event(1, "accepted")]
    );
}

pub(crate) async fn parallel_control_events_never_share_a_sequence(store: Arc<dyn Store>) {
    let id = accepted_due(&*store, partner(), 0).await;
    let answers = join_all((0..24).map(|_| store.append(append(id, 1, Appender::Control)))).await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    assert!(
        refused
            .iter()
            .all(|it| matches!(it, Err(StoreError::Conflict)))
    );
    assert_eq!(store.events(id, 0, 10).await.unwrap().len(), 2);
}

pub(crate) async fn a_control_event_closes_the_gate_and_leaves_the_claim(store: Arc<dyn Store>) {
    let partner = partner();
    let id = accepted_due(&*store, partner, 0).await;
    let claim = claim_one(&store, partner, LONG).await;
    let gate = |seen| store.may_send(id, claim.fence, seen, Duration::from_secs(60));
    assert!(gate(1).await.unwrap());

    let mut cancel = append(id, 1, Appender::Control);
    cancel.columns.due = Some(at(-7));
    store.append(cancel).await.unwrap();
    assert_eq!(store.load(id).await.unwrap().unwrap().due, Some(at(-7)));
    assert!(!gate(1).await.unwrap(), "it has not seen the cancellation");
    assert!(gate(2).await.unwrap(), "it has seen it");

    // The worker's own events close no gate, and its claim still lets it append.
    store
        .append(append(id, 2, worker(claim.fence)))
        .await
        .unwrap();
    assert!(gate(2).await.unwrap());
}

pub(crate) async fn the_gate_asks_how_long_the_claim_lasts(store: Arc<dyn Store>) {
    let partner = partner();
    let id = accepted_due(&*store, partner, 0).await;
    let claim = claim_one(&store, partner, LONG).await;
    let gate = |fence, needs| store.may_send(id, fence, 1, needs);
    assert!(gate(claim.fence, LONG / 2).await.unwrap());
    assert!(!gate(claim.fence, LONG * 2).await.unwrap());
    assert!(!gate(claim.fence - 1, Duration::ZERO).await.unwrap());
    assert!(!gate(claim.fence + 1, Duration::ZERO).await.unwrap());
    store.release(id, claim.fence).await.unwrap();
    assert!(!gate(claim.fence, Duration::ZERO).await.unwrap());
    let short = claim_one(&store, partner, Duration::ZERO).await;
    assert!(!gate(short.fence, Duration::ZERO).await.unwrap());
}

pub(crate) async fn claims_of_many_workers_are_disjoint(store: Arc<dyn Store>) {
    let partner = partner();
    let ids = join_all((0..90).map(|due| accepted_due(&*store, partner, -due))).await;
    let batches = join_all((0..20).map(|_| {
        let store = Arc::clone(&store);
        async move { store.claim(&[shows(partner, 0)], 7, LONG).await.unwrap() }
    }))
    .await;
    assert!(batches.iter().all(|batch| batch.len() <= 7));
    let claimed: Vec<_> = batches.iter().flatten().map(|it| it.row.id).collect();
    assert_eq!(claimed.len(), 90, "each is claimed once, none is left");
    assert_eq!(
        claimed.into_iter().collect::<BTreeSet<_>>(),
        ids.into_iter().collect()
    );
}

pub(crate) async fn the_longest_due_is_claimed_first(store: Arc<dyn Store>) {
    let (slow, fast) = (partner(), partner());
    let a = accepted_due(&*store, slow, 90).await; // due for 10 s by its own clock
    let b = accepted_due(&*store, fast, 9_950).await; // 50 s
    let c = accepted_due(&*store, slow, 70).await; // 30 s
    let d = accepted_due(&*store, fast, 9_999).await; // 1 s
    let clocks = [shows(slow, 100), shows(fast, 10_000)];
    let order = |batch: Vec<_>| batch;
    let first = order(store.claim(&clocks, 2, LONG).await.unwrap());
    let ids: Vec<_> = first.iter().map(|it| it.row.id).collect();
    assert_eq!(ids, [b, c]);
    let rest = store.claim(&clocks, 9, LONG).await.unwrap();
    let ids: Vec<_> = rest.iter().map(|it| it.row.id).collect();
    assert_eq!(ids, [a, d]);
    assert!(rest.iter().all(|it| it.expires_in == LONG));
}

pub(crate) async fn due_is_asked_of_each_partners_own_clock(store: Arc<dyn Store>) {
    let (early, late) = (partner(), partner());
    let first = accepted_due(&*store, early, 1_000).await;
    let second = accepted_due(&*store, late, 1_000).await;
    let claimed = store
        .claim(&[shows(early, 999), shows(late, 1_000)], 9, LONG)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].row.id, second);
    assert_eq!(claimed[0].row, store.load(second).await.unwrap().unwrap());
    let claimed = store
        .claim(&[shows(early, 1_000), shows(late, 0)], 9, LONG)
        .await
        .unwrap();
    assert_eq!(claimed[0].row.id, first);
}

pub(crate) async fn other_partners_and_newer_formats_are_left_alone(store: Arc<dyn Store>) {
    let (ours, theirs) = (partner(), partner());
    accepted_due(&*store, theirs, 0).await;
    let mut newer = new(ours);
    newer.columns.format = FORMAT + 1;
    store.accept(newer.clone()).await.unwrap();
    let clock = [shows(ours, 1_000)];
    assert_eq!(store.claim(&clock, 9, LONG).await.unwrap(), []);
    assert_eq!(store.next_due(&clock).await.unwrap(), None);
    assert_eq!(store.claim(&[], 9, LONG).await.unwrap(), []);
    assert_eq!(store.next_due(&[]).await.unwrap(), None);
    // It can be seen, though.
    let row = store.load(newer.id).await.unwrap().unwrap();
    assert_eq!(row.format, FORMAT + 1);
}

pub(crate) async fn what_is_never_due_is_never_claimed(store: Arc<dyn Store>) {
    let partner = partner();
    let mut never = new(partner);
    never.columns.due = None;
    store.accept(never).await.unwrap();
    let clock = [shows(partner, i64::from(i32::MAX))];
    assert_eq!(store.claim(&clock, 9, LONG).await.unwrap(), []);
    assert_eq!(store.next_due(&clock).await.unwrap(), None);
}

pub(crate) async fn an_expired_claim_is_taken_over_with_a_higher_fence(store: Arc<dyn Store>) {
    let partner = partner();
    accepted_due(&*store, partner, 0).await;
    let mut fence = 0;
    for _ in 0..3 {
        let claim = claim_one(&store, partner, Duration::ZERO).await;
        assert!(claim.fence > fence);
        fence = claim.fence;
    }
    claim_one(&store, partner, LONG).await;
    let held = store.claim(&[shows(partner, 0)], 9, LONG).await.unwrap();
    assert_eq!(held, []);
}

pub(crate) async fn a_released_offboarding_can_be_claimed_at_once(store: Arc<dyn Store>) {
    let partner = partner();
    let id = accepted_due(&*store, partner, 0).await;
    let claim = claim_one(&store, partner, LONG).await;
    store.release(id, claim.fence).await.unwrap();
    let claim = claim_one(&store, partner, LONG).await;
    store
        .append(append(
            id,
            1,
            Appender::Worker {
                fence: claim.fence,
                release: true,
            },
        ))
        .await
        .unwrap();
    let refused = store.append(append(id, 2, worker(claim.fence))).await;
    assert!(matches!(refused, Err(StoreError::ClaimLost)), "{refused:?}");
    claim_one(&store, partner, LONG).await;
}

pub(crate) async fn a_late_release_does_not_touch_the_new_claim(store: Arc<dyn Store>) {
    let partner = partner();
    let id = accepted_due(&*store, partner, 0).await;
    let old = claim_one(&store, partner, Duration::ZERO).await;
    let fresh = claim_one(&store, partner, LONG).await;
    store.release(id, old.fence).await.unwrap();
    store
        .release(OffboardingId(Uuid::now_v7()), 1)
        .await
        .unwrap();
    store
        .append(append(id, 1, worker(fresh.fence)))
        .await
        .unwrap();
}

pub(crate) async fn only_held_claims_are_renewed(store: Arc<dyn Store>) {
    let (ours, expired, taken) = (partner(), partner(), partner());
    for partner in [ours, expired, taken] {
        accepted_due(&*store, partner, 0).await;
    }
    let short = Duration::from_secs(60);
    let held = claim_one(&store, ours, short).await;
    let lapsed = claim_one(&store, expired, Duration::ZERO).await;
    let lost = claim_one(&store, taken, Duration::ZERO).await;
    let winner = claim_one(&store, taken, short).await;
    let claims = [&held, &lapsed, &lost].map(|it| (it.row.id, it.fence));
    let renewed = store.renew(&claims, LONG).await.unwrap();
    assert_eq!(renewed, [claims[0]]);
    let gate = |id, fence| store.may_send(id, fence, 1, short * 2);
    assert!(gate(held.row.id, held.fence).await.unwrap());
    assert!(!gate(winner.row.id, winner.fence).await.unwrap());
    assert_eq!(store.renew(&[], LONG).await.unwrap(), []);
}

pub(crate) async fn next_due_knows_when_something_can_be_claimed(store: Arc<dyn Store>) {
    let (slow, fast) = (partner(), partner());
    let clocks = [shows(slow, 100), shows(fast, 1_000)];
    let next = || store.next_due(&clocks);
    assert_eq!(next().await.unwrap(), None);
    accepted_due(&*store, slow, 400).await;
    assert_eq!(next().await.unwrap(), Some(Duration::from_secs(300)));
    accepted_due(&*store, fast, 1_020).await;
    assert_eq!(next().await.unwrap(), Some(Duration::from_secs(20)));
    accepted_due(&*store, fast, 10).await;
    assert_eq!(next().await.unwrap(), Some(Duration::ZERO));

    // Held: when its claim expires counts, and not that it is due.
    let lease = Duration::from_secs(15);
    let held = store.claim(&clocks, 9, lease).await.unwrap();
    assert_eq!(held.len(), 1);
    let wait = next().await.unwrap().unwrap();
    assert!(wait <= lease && wait > Duration::ZERO, "{wait:?}");
    store
        .renew(&[(held[0].row.id, held[0].fence)], LONG)
        .await
        .unwrap();
    assert_eq!(next().await.unwrap(), Some(Duration::from_secs(20)));

    // Held, due later than its claim lasts: when it is due counts.
    let mut later = append(held[0].row.id, 1, worker(held[0].fence));
    later.columns.due = Some(at(1_005));
    store.append(later).await.unwrap();
    assert_eq!(next().await.unwrap(), Some(Duration::from_secs(20)));
    store.release(held[0].row.id, held[0].fence).await.unwrap();
    assert_eq!(next().await.unwrap(), Some(Duration::from_secs(5)));
}

pub(crate) async fn events_are_paged_in_order(store: Arc<dyn Store>) {
    let id = accepted_due(&*store, partner(), 0).await;
    let mut many = append(id, 1, Appender::Control);
    many.events = (2..=50).map(|sequence| event(sequence, "step")).collect();
    many.columns = columns(50);
    store.append(many.clone()).await.unwrap();
    let mut read = Vec::new();
    loop {
        let after = read.last().map_or(
            0,
            |it: &relationship_service::application::store::EventRow| it.sequence,
        );
        let page = store.events(id, after, 7).await.unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    let mut all = vec![event(1, "accepted")];
    all.extend(many.events);
    assert_eq!(read, all);
    assert_eq!(
        store.load(id).await.unwrap().unwrap().head,
        event(50, "step").hash
    );
}

pub(crate) async fn an_earlier_removal_is_the_newest_that_ended(store: Arc<dyn Store>) {
    let first = new(partner());
    let earlier = || store.earlier_removal(first.partner, first.customer);
    assert_eq!(earlier().await.unwrap(), None);
    let mut last = None;
    for (created, removal_seen) in [(10, true), (20, true), (30, false)] {
        let mut run = new(first.partner);
        run.customer = first.customer;
        run.created = at(created);
        run.columns = ended(1, removal_seen);
        store.accept(run.clone()).await.unwrap();
        if removal_seen {
            last = Some(run.id);
        }
        assert_eq!(earlier().await.unwrap(), last);
    }
    // An unfinished one proves nothing yet, nor does another partner's.
    let mut unfinished = first.clone();
    unfinished.created = at(40);
    unfinished.columns.removal_seen = true;
    store.accept(unfinished).await.unwrap();
    assert_eq!(earlier().await.unwrap(), last);
    let elsewhere = store.earlier_removal(partner(), first.customer).await;
    assert_eq!(elsewhere.unwrap(), None);
}

pub(crate) async fn changes_are_announced_after_their_commit(store: Arc<dyn Store>) {
    let mut changes = store.changes();
    let partner = partner();
    let id = accepted_due(&*store, partner, 0).await;
    let claim = claim_one(&store, partner, LONG).await;
    let mut silent = append(id, 1, worker(claim.fence));
    silent.events.clear();
    store.append(silent).await.unwrap();
    assert!(
        store
            .append(append(id, 9, Appender::Control))
            .await
            .is_err()
    );
    store
        .append(append(id, 1, Appender::Control))
        .await
        .unwrap();
    for sequence in [1, 2] {
        let change = changes.recv().await.unwrap();
        assert_eq!(change, Change { id, sequence });
        let row = store.load(id).await.unwrap().unwrap();
        assert!(row.sequence >= sequence);
    }
    assert!(changes.is_empty(), "only what was appended is announced");
}
