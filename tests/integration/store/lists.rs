//! Part of the store's contract: lists by filter, compared with a plain search in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use relationship_service::application::store::{Appender, Cursor, Filter, NewOffboarding, Store};
use relationship_service::domain::ids::{CustomerId, OffboardingId, PartnerTenantId};
use uuid::Uuid;

use super::fixture::{append, at, event, new, partner};

const STATES: [&str; 4] = ["BLOCKED", "CLEARING", "SUCCEEDED", "FAILED"];
const REASONS: [&str; 3] = ["HOLD", "SUBSCRIPTION_ACTIVE", "TRANSFER_PENDING"];
const WAITING: [&str; 3] = ["customer", "microsoft", "time"];
/// Such that key and value could be mistaken for one another when they were glued together.
const PAIRS: [(&str, &str); 4] = [("a", "b"), ("a=b", ""), ("a", "=b"), ("ticket", "Ä-1")];
/// How many partners and customers the rows are spread over.
const PEOPLE: u128 = 3;
/// Few moments, so that many rows share one and the id decides.
const MOMENTS: i64 = 6;

fn some_partner() -> impl Strategy<Value = PartnerTenantId> {
    (1..=PEOPLE).prop_map(|it| PartnerTenantId(Uuid::from_u128(it)))
}

fn some_customer() -> impl Strategy<Value = CustomerId> {
    (1..=PEOPLE).prop_map(|it| CustomerId(Uuid::from_u128(it << 64)))
}

fn owned(pairs: Vec<(&str, &str)>) -> Vec<(String, String)> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn texts(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// A row. All have ended, so that a customer can have many; that does not matter to a list.
fn some_row() -> impl Strategy<Value = NewOffboarding> {
    let people = (some_partner(), some_customer(), any::<u128>());
    let times = (0..MOMENTS, 0..MOMENTS);
    let pairs = (
        subsequence(&PAIRS[..], 0..=3),
        subsequence(&PAIRS[..], 0..=2),
    );
    let state = (
        select(&STATES[..]),
        subsequence(&REASONS[..], 0..=3),
        option::of(select(&WAITING[..])),
    );
    (people, times, pairs, state).prop_map(
        |((partner, customer, id), (created, updated), (labels, references), state)| {
            let (state, reasons, waiting_on) = state;
            let mut row = new(partner);
            row.id = OffboardingId(Uuid::from_u128(id));
            row.customer = customer;
            row.created = at(created);
            row.labels = owned(labels);
            row.references = owned(references);
            row.columns.state = state.to_owned();
            row.columns.ended = true;
            row.columns.blocker_reasons = texts(reasons);
            row.columns.waiting_on = waiting_on.map(str::to_owned);
            row.columns.updated = at(updated);
            row
        },
    )
}

fn some_filter() -> impl Strategy<Value = Filter> {
    let moment = || option::weighted(0.2, (0..=MOMENTS).prop_map(at));
    let rare = |pairs: &'static [(&'static str, &'static str)]| {
        proptest::prop_oneof![
            2 => Just(Vec::new()),
            1 => subsequence(pairs, 1..=2).prop_map(owned),
        ]
    };
    let some = |all: &'static [&'static str]| {
        proptest::prop_oneof![
            2 => Just(Vec::new()),
            1 => subsequence(all, 1..=2).prop_map(texts),
        ]
    };
    (
        (some(&STATES), some(&REASONS), some(&WAITING)),
        (vec(some_partner(), 0..=2), vec(some_customer(), 0..=1)),
        (rare(&PAIRS), rare(&PAIRS)),
        (moment(), moment(), moment(), moment()),
    )
        .prop_map(|(names, people, pairs, times)| Filter {
            states: names.0,
            blocker_reasons: names.1,
            waiting_on: names.2,
            partners: people.0,
            customers: people.1,
            labels: pairs.0,
            references: pairs.1,
            created_from: times.0,
            created_before: times.1,
            updated_from: times.2,
            updated_before: times.3,
        })
}

/// The filter as its documentation says it, without any database.
fn matches(filter: &Filter, row: &NewOffboarding) -> bool {
    fn among<T: PartialEq>(wanted: &[T], value: &T) -> bool {
        wanted.is_empty() || wanted.contains(value)
    }
    let columns = &row.columns;
    among(&filter.states, &columns.state)
        && among(&filter.partners, &row.partner)
        && among(&filter.customers, &row.customer)
        && filter.labels.iter().all(|it| row.labels.contains(it))
        && filter
            .references
            .iter()
            .all(|it| row.references.contains(it))
        && (filter.blocker_reasons.is_empty()
            || filter
                .blocker_reasons
                .iter()
                .any(|it| columns.blocker_reasons.contains(it)))
        && (filter.waiting_on.is_empty()
            || columns
                .waiting_on
                .as_ref()
                .is_some_and(|it| filter.waiting_on.contains(it)))
        && filter.created_from.is_none_or(|from| row.created >= from)
        && filter
            .created_before
            .is_none_or(|before| row.created < before)
        && filter
            .updated_from
            .is_none_or(|from| columns.updated >= from)
        && filter
            .updated_before
            .is_none_or(|before| columns.updated < before)
}

/// Rows that are the same in every run, so that a failing filter can be tried again.
async fn populate(store: &Arc<dyn Store>, count: usize) -> Vec<NewOffboarding> {
    let mut runner = TestRunner::deterministic();
    let mut rows = vec(some_row(), count)
        .new_tree(&mut runner)
        .unwrap()
        .current();
    join_all(rows.iter().map(|row| store.accept(row.clone())))
        .await
        .into_iter()
        .for_each(|it| {
            it.unwrap();
        });
    rows.sort_by_key(|row| std::cmp::Reverse((row.created, row.id)));
    rows
}

fn ids<'a>(rows: impl IntoIterator<Item = &'a NewOffboarding>) -> Vec<OffboardingId> {
    rows.into_iter().map(|row| row.id).collect()
}

pub(crate) async fn filters_agree_with_a_plain_search(store: Arc<dyn Store>) {
    let rows = populate(&store, 150).await;
    let mut runner = TestRunner::new(Config {
        cases: 400,
        failure_persistence: None,
        ..Config::default()
    });
    let runtime = tokio::runtime::Handle::current();
    let found = std::cell::Cell::new(0);
    tokio::task::block_in_place(|| {
        runner
            .run(&some_filter(), |filter| {
                let listed = runtime.block_on(store.list(&filter, None, 1_000)).unwrap();
                let listed: Vec<_> = listed.iter().map(|row| row.id).collect();
                let wanted = ids(rows.iter().filter(|row| matches(&filter, row)));
                found.set(found.get() + usize::from(!wanted.is_empty()));
                proptest::prop_assert_eq!(listed, wanted);
                Ok(())
            })
            .unwrap();
    });
    assert!(
        found.get() > 40,
        "too few filters matched anything to show much"
    );
}

pub(crate) async fn pages_join_without_gap_or_repetition(store: Arc<dyn Store>) {
    let rows = populate(&store, 60).await;
    for filter in [
        Filter::default(),
        Filter {
            states: vec!["BLOCKED".to_owned(), "FAILED".to_owned()],
            ..Filter::default()
        },
    ] {
        for size in [1, 7, 60, 1_000] {
            let (mut listed, mut after) = (Vec::new(), None);
            loop {
                let page = store.list(&filter, after, size).await.unwrap();
                assert!(page.len() <= size as usize);
                let Some(last) = page.last() else { break };
                after = Some(Cursor {
                    created: last.created,
                    id: last.id,
                });
                listed.extend(page.iter().map(|row| row.id));
            }
            assert_eq!(listed, ids(rows.iter().filter(|row| matches(&filter, row))));
        }
    }
}

pub(crate) async fn blockers_are_found_as_they_stand_now(store: Arc<dyn Store>) {
    let mut row = new(partner());
    row.columns.blocker_reasons = texts(vec!["HOLD", "TRANSFER_PENDING"]);
    store.accept(row.clone()).await.unwrap();
    let found = async || {
        let mut found = BTreeSet::new();
        for reason in REASONS {
            let filter = Filter {
                blocker_reasons: vec![reason.to_owned()],
                ..Filter::default()
            };
            if !store.list(&filter, None, 10).await.unwrap().is_empty() {
                found.insert(reason);
            }
        }
        found
    };
    assert_eq!(found().await, BTreeSet::from(["HOLD", "TRANSFER_PENDING"]));
    let mut change = append(row.id, 1, Appender::Control);
    change.columns.blocker_reasons = texts(vec!["HOLD", "SUBSCRIPTION_ACTIVE"]);
    store.append(change).await.unwrap();
    assert_eq!(
        found().await,
        BTreeSet::from(["HOLD", "SUBSCRIPTION_ACTIVE"])
    );
    let mut clear = append(row.id, 2, Appender::Control);
    clear.events = vec![event(3, "step")];
    store.append(clear).await.unwrap();
    assert_eq!(found().await, BTreeSet::new());
}
