//! Judges the simulator's journal: what the service did to customers, seen from the outside.
//!
//! Knows nothing of the service: only what reached Partner Center, in which order, and when the service
//! was killed. Every rule that is broken is told in a sentence with the sequence numbers of the requests.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use relationship_service::simulator::{CustomerSpec, JournalEntry, SubscriptionKind};
use serde_json::json;
use uuid::Uuid;

mod tests;

/// A rule that the journal can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing is deleted; only known endpoints are called.
    Call,
    /// The removal carries `relationshipToPartner` and `attributes` and nothing else.
    Body,
    /// A removal follows a complete snapshot without blockers that began after the last change and
    /// after the last restart.
    Snapshot,
    /// Partner Center had no reason to refuse the removal.
    Refused,
    /// The relationship ends once.
    Once,
    /// A change of a subscription follows a read of it that began after the change before and after the
    /// last restart.
    Read,
    /// What the plan suspends is suspended once, nothing else is touched.
    Plan,
    /// Every customer is removed.
    Lost,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which rule.
    pub(crate) rule: Rule,
    /// What happened, with sequence numbers.
    pub(crate) sentence: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.sentence)
    }
}

/// What is expected of one customer.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    customer: Uuid,
    /// Subscriptions that the plan suspends, in lower case.
    suspend: Vec<String>,
    /// What a complete snapshot reads: endpoint, and the resource where there is one for each.
    reads: Vec<(&'static str, Option<String>)>,
}

impl Expected {
    /// A customer whose legacy subscriptions are suspended and who is then removed.
    pub(crate) fn suspended_and_removed(customer: &CustomerSpec) -> Self {
        use SubscriptionKind as Kind;
        let lower = |id: &Option<String>| id.as_ref().unwrap().to_lowercase();
        let mut suspend = Vec::new();
        let mut reads = vec![
            ("get_customer", None),
            ("list_subscriptions", None),
            ("list_entitlements", None),
            ("list_transfers", None),
        ];
        for subscription in &customer.subscriptions {
            if matches!(subscription.kind, Kind::LegacyLicense | Kind::LegacyTrial) {
                reads.push(("list_addons", Some(lower(&subscription.id))));
            }
            if matches!(
                subscription.kind,
                Kind::LegacyLicense | Kind::LegacyTrial | Kind::LegacyAddon | Kind::LegacyAzure
            ) {
                suspend.push(lower(&subscription.id));
            }
        }
        for reservation in &customer.reservations {
            let id = reservation.id.map(|id| id.to_string());
            reads.push(("reservation_artifact", id));
        }
        Self {
            customer: customer.id,
            suspend,
            reads,
        }
    }
}

/// Everything to judge.
pub(crate) struct Trial<'a> {
    /// The whole journal.
    pub(crate) journal: &'a [JournalEntry],
    /// Positions in the common order at which the service began anew.
    pub(crate) restarts: &'a [u64],
    /// Every customer that has to end removed.
    pub(crate) expected: &'a [Expected],
    /// Refusals of a removal that the scenario provokes.
    pub(crate) may_be_refused: fn(&JournalEntry) -> bool,
}

impl<'a> Trial<'a> {
    /// A trial in which no removal may be refused.
    pub(crate) fn new(
        journal: &'a [JournalEntry],
        restarts: &'a [u64],
        expected: &'a [Expected],
    ) -> Self {
        Self {
            journal,
            restarts,
            expected,
            may_be_refused: |_| false,
        }
    }

    /// Every rule that is broken.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let mut found = Found::default();
        let mut by_customer: BTreeMap<Uuid, Vec<&JournalEntry>> = BTreeMap::new();
        for entry in self.journal {
            calls(entry, &mut found);
            if let Some(customer) = customer(entry) {
                by_customer.entry(customer).or_default().push(entry);
            }
        }
        for expected in self.expected {
            let entries = by_customer.remove(&expected.customer).unwrap_or_default();
            Case {
                trial: self,
                expected,
                entries,
            }
            .judge(&mut found);
        }
        for (customer, entries) in by_customer {
            for entry in entries.iter().filter(|entry| entry.method == "PATCH") {
                found.add(
                    Rule::Plan,
                    format!(
                        "{}: customer {customer}, whom nobody wanted removed, was changed",
                        name(entry)
                    ),
                );
            }
        }
        found.0
    }

    /// The last restart before a position; 0: none.
    fn restart_before(&self, position: u64) -> u64 {
        let before = self.restarts.iter().filter(|mark| **mark < position);
        before.copied().max().unwrap_or(0)
    }
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, rule: Rule, sentence: String) {
        self.0.push(Violation { rule, sentence });
    }
}

/// How a request is called in sentences.
fn name(entry: &JournalEntry) -> String {
    format!("#{} {} {}", entry.seq, entry.method, entry.path)
}

/// Rules for every single request.
fn calls(entry: &JournalEntry, found: &mut Found) {
    let fits = match entry.method.as_str() {
        "GET" => entry.endpoint != "unknown",
        "PATCH" => matches!(entry.endpoint, "update_customer" | "update_subscription"),
        "POST" => entry.endpoint == "token",
        _ => false,
    };
    if !fits {
        found.add(
            Rule::Call,
            format!("{} must never be sent ({})", name(entry), entry.endpoint),
        );
    }
}

/// The customer that a request is about.
fn customer(entry: &JournalEntry) -> Option<Uuid> {
    let mut segments = entry.path.split('/').filter(|s| !s.is_empty()).skip(1);
    (segments.next()? == "customers")
        .then(|| segments.next())
        .flatten()
        .and_then(|id| id.parse().ok())
}

/// The subscription, or whatever else below the customer, that a request is about, in lower case.
fn resource(entry: &JournalEntry) -> Option<String> {
    let segments: Vec<&str> = entry.path.split('/').filter(|s| !s.is_empty()).collect();
    let at = match entry.endpoint {
        "reservation_artifact" => segments.len().checked_sub(1)?,
        _ => 4,
    };
    segments.get(at).map(|id| id.to_lowercase())
}

/// When a request was over. One that was broken off before it took effect was over as it arrived.
pub(crate) fn over(entry: &JournalEntry) -> u64 {
    entry.finished.unwrap_or(entry.started)
}

/// One customer's requests, in order of arrival.
struct Case<'t, 'a> {
    trial: &'t Trial<'a>,
    expected: &'t Expected,
    entries: Vec<&'a JournalEntry>,
}

impl<'a> Case<'_, 'a> {
    fn judge(&self, found: &mut Found) {
        let mut last_change = 0;
        let mut removed: Option<&JournalEntry> = None;
        let mut suspended: BTreeMap<String, Vec<&JournalEntry>> = BTreeMap::new();
        let mut changed: BTreeMap<String, u64> = BTreeMap::new();
        for entry in &self.entries {
            match entry.endpoint {
                "update_subscription" => {
                    let id = resource(entry).unwrap_or_default();
                    let before = changed.get(&id).copied().unwrap_or(0);
                    self.judge_read(entry, &id, before, found);
                    self.judge_change(entry, &id, removed, found);
                    if entry.applied {
                        suspended.entry(id.clone()).or_default().push(entry);
                    }
                    changed.insert(id, before.max(over(entry)));
                }
                "update_customer" => {
                    self.judge_body(entry, found);
                    self.judge_snapshot(entry, last_change, found);
                    self.judge_answer(entry, removed, found);
                    if entry.applied {
                        removed = removed.or(Some(entry));
                    }
                }
                _ => continue,
            }
            last_change = last_change.max(over(entry));
        }
        let customer = self.expected.customer;
        if removed.is_none() {
            found.add(Rule::Lost, format!("customer {customer} was never removed"));
        }
        for id in &self.expected.suspend {
            let times = suspended.remove(id).unwrap_or_default();
            if times.len() != 1 {
                let seqs: Vec<u64> = times.iter().map(|entry| entry.seq).collect();
                found.add(
                    Rule::Plan,
                    format!(
                        "subscription {id} of customer {customer} was to be suspended once, not {} \
                         times {seqs:?}",
                        times.len()
                    ),
                );
            }
        }
        for entry in suspended.into_values().flatten() {
            found.add(
                Rule::Plan,
                format!("{}: the plan does not touch it", name(entry)),
            );
        }
    }

    /// A change follows its own read.
    fn judge_read(&self, change: &JournalEntry, id: &str, before: u64, found: &mut Found) {
        let since = before.max(self.trial.restart_before(change.started));
        let read = self.entries.iter().any(|entry| {
            entry.endpoint == "get_subscription"
                && resource(entry).as_deref() == Some(id)
                && within(entry, since, change.started)
        });
        if !read {
            found.add(
                Rule::Read,
                format!(
                    "{}: nobody read that subscription between position {since} (the change before \
                     it, or the last restart) and {}",
                    name(change),
                    change.started
                ),
            );
        }
    }

    /// A change suspends, and comes before the removal.
    fn judge_change(
        &self,
        change: &JournalEntry,
        id: &str,
        removed: Option<&JournalEntry>,
        found: &mut Found,
    ) {
        let status = change
            .body
            .as_ref()
            .and_then(|body| body["status"].as_str());
        if status != Some("suspended") {
            found.add(
                Rule::Plan,
                format!("{} sets status {status:?}, not suspended", name(change)),
            );
        }
        if let Some(removed) = removed {
            found.add(
                Rule::Plan,
                format!(
                    "{}: subscription {id} was changed after the removal #{}",
                    name(change),
                    removed.seq
                ),
            );
        }
    }

    fn judge_body(&self, removal: &JournalEntry, found: &mut Found) {
        let only =
            json!({"relationshipToPartner": "none", "attributes": {"objectType": "Customer"}});
        if removal.body.as_ref() != Some(&only) {
            found.add(
                Rule::Body,
                format!("{} carries {:?}", name(removal), removal.body),
            );
        }
    }

    /// Complete, fresh, and nothing in the way.
    fn judge_snapshot(&self, removal: &JournalEntry, last_change: u64, found: &mut Found) {
        let restart = self.trial.restart_before(removal.started);
        let since = last_change.max(restart);
        for (endpoint, id) in &self.expected.reads {
            let newest = self
                .entries
                .iter()
                .filter(|entry| entry.endpoint == *endpoint)
                .filter(|entry| id.is_none() || resource(entry) == *id)
                .rfind(|entry| within(entry, since, removal.started));
            let what = format!("{endpoint} {}", id.as_deref().unwrap_or_default());
            let Some(read) = newest else {
                found.add(
                    Rule::Snapshot,
                    format!(
                        "{} without {what}: none was begun after the last change (position \
                         {last_change}) and the last restart (position {restart}) and answered before \
                         position {}",
                        name(removal),
                        removal.started
                    ),
                );
                continue;
            };
            let note = read.note.as_deref().unwrap_or_default();
            if note.starts_with("blocking: ") && note != "blocking: 0" {
                found.add(
                    Rule::Snapshot,
                    format!("{} although #{} showed {note}", name(removal), read.seq),
                );
            }
        }
    }

    fn judge_answer(
        &self,
        removal: &JournalEntry,
        removed: Option<&JournalEntry>,
        found: &mut Found,
    ) {
        if let Some(first) = removed.filter(|_| removal.applied) {
            found.add(
                Rule::Once,
                format!(
                    "{} removed again what #{} removed",
                    name(removal),
                    first.seq
                ),
            );
        }
        let Some(status) = removal.status.filter(|status| *status >= 300) else {
            return;
        };
        // Sent again because nobody knows what became of the first one: "not related" means done.
        let done_before = removed.is_some() && removal.code.as_deref() == Some("3000");
        if !done_before && !(self.trial.may_be_refused)(removal) {
            found.add(
                Rule::Refused,
                format!(
                    "{} was refused: {status} {} {}",
                    name(removal),
                    removal.code.as_deref().unwrap_or_default(),
                    removal.note.as_deref().unwrap_or_default()
                ),
            );
        }
    }
}

/// Answered well, and wholly between two positions.
fn within(entry: &JournalEntry, after: u64, before: u64) -> bool {
    entry.status == Some(200)
        && entry.started > after
        && entry.finished.is_some_and(|finished| finished < before)
}
