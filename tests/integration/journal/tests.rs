//! The judge itself: a good journal passes, and for each rule there is one that does not.

use jiff::Timestamp;
use relationship_service::simulator::{Authorization, CustomerSpec, JournalEntry, Scenario};
use serde_json::{Value, json};

use super::{Expected, Rule, Trial};

/// A journal under construction: every request is over before the next begins.
struct Journal {
    customer: CustomerSpec,
    entries: Vec<JournalEntry>,
    position: u64,
}

impl Journal {
    /// Of a customer with two subscriptions, the second an add-on of the first.
    fn new() -> Self {
        let customer = Scenario::seeded(1, 2, 1).partners[0].customers[0].clone();
        Self {
            customer,
            entries: Vec::new(),
            position: 0,
        }
    }

    fn add(&mut self, method: &str, endpoint: &'static str, below: &str) -> &mut JournalEntry {
        let path = format!("/v1/customers/{}{below}", self.customer.id);
        self.position += 2;
        self.entries.push(JournalEntry {
            seq: self.entries.len() as u64 + 1,
            started: self.position - 1,
            finished: Some(self.position),
            real_time: Timestamp::UNIX_EPOCH,
            simulator_time: Timestamp::UNIX_EPOCH,
            method: method.to_owned(),
            path,
            query: None,
            endpoint,
            request_id: None,
            correlation_id: None,
            if_match: None,
            authorization: Authorization::AppUser,
            body: None,
            status: Some(200),
            code: None,
            applied: false,
            effect: None,
            note: None,
            fault: None,
        });
        self.entries.last_mut().unwrap()
    }

    fn id(&self, n: usize) -> String {
        self.customer.subscriptions[n].id.clone().unwrap()
    }

    fn get(&mut self, n: usize) {
        let below = format!("/subscriptions/{}", self.id(n));
        self.add("GET", "get_subscription", &below);
    }

    fn patch(&mut self, n: usize) -> &mut JournalEntry {
        let below = format!("/subscriptions/{}", self.id(n));
        let entry = self.add("PATCH", "update_subscription", &below);
        entry.applied = true;
        entry.body = Some(json!({"status": "suspended"}));
        entry
    }

    fn snapshot(&mut self, blocking: u32) {
        self.add("GET", "get_customer", "");
        for (endpoint, below) in [
            ("list_subscriptions", "/subscriptions"),
            ("list_entitlements", "/entitlements"),
            ("list_transfers", "/transfers"),
        ] {
            self.add("GET", endpoint, below).note = Some(format!("blocking: {blocking}"));
        }
        let below = format!("/subscriptions/{}/addons", self.id(0));
        self.add("GET", "list_addons", &below);
    }

    fn suspend_both(&mut self) {
        for n in [1, 0] {
            self.get(n);
            self.patch(n);
        }
    }

    fn removal(&mut self) -> &mut JournalEntry {
        let entry = self.add("PATCH", "update_customer", "");
        entry.applied = true;
        entry.body = Some(removal_body());
        entry
    }

    /// The rules that are broken, with restarts at these positions.
    fn broken(&self, restarts: &[u64]) -> Vec<Rule> {
        let expected = [Expected::suspended_and_removed(&self.customer)];
        let violations = Trial::new(&self.entries, restarts, &expected).violations();
        for violation in &violations {
            assert!(!violation.sentence.is_empty());
        }
        violations.iter().map(|violation| violation.rule).collect()
    }
}

fn removal_body() -> Value {
    json!({"relationshipToPartner": "none", "attributes": {"objectType": "Customer"}})
}

/// Suspended, looked at again, removed.
fn good() -> Journal {
    let mut journal = Journal::new();
    journal.snapshot(2);
    journal.suspend_both();
    journal.snapshot(0);
    journal.removal();
    journal
}

#[test]
fn a_good_journal_breaks_no_rule() {
    assert_eq!(good().broken(&[]), []);
}

#[test]
fn a_deletion_or_an_unknown_call_is_a_violation() {
    let mut journal = good();
    journal.add("DELETE", "method_not_allowed", "").status = Some(405);
    journal.add("GET", "unknown", "/nonsense").status = Some(404);
    journal.add("POST", "cancel_azure_entitlement", "/x");
    assert_eq!(journal.broken(&[]), [Rule::Call; 3]);
}

#[test]
fn a_removal_that_says_more_is_a_violation() {
    let mut journal = good();
    let mut body = removal_body();
    body["allowDelegatedAccess"] = json!(false);
    journal.entries.last_mut().unwrap().body = Some(body);
    assert_eq!(journal.broken(&[]), [Rule::Body]);
}

#[test]
fn a_removal_without_any_one_read_is_a_violation() {
    let whole = good();
    let last_snapshot = whole.entries.len() - 6..whole.entries.len() - 1;
    for missing in last_snapshot {
        let mut journal = good();
        journal.entries.remove(missing);
        assert_eq!(journal.broken(&[]), [Rule::Snapshot], "without #{missing}");
    }
}

#[test]
fn a_read_that_failed_or_was_still_under_way_does_not_count() {
    for spoil in [
        (|entry: &mut JournalEntry| entry.status = Some(503)) as fn(&mut JournalEntry),
        |entry| entry.status = None,
        |entry| entry.finished = None,
        |entry| entry.finished = Some(10_000),
    ] {
        let mut journal = good();
        let read = journal.entries.len() - 2;
        spoil(&mut journal.entries[read]);
        assert_eq!(journal.broken(&[]), [Rule::Snapshot]);
    }
}

#[test]
fn a_removal_despite_a_blocker_is_a_violation() {
    let mut journal = Journal::new();
    journal.suspend_both();
    journal.snapshot(0);
    journal.snapshot(1);
    journal.removal();
    assert_eq!(journal.broken(&[]), [Rule::Snapshot; 3]);
}

#[test]
fn a_change_after_the_snapshot_makes_it_stale() {
    let mut journal = Journal::new();
    journal.get(1);
    journal.patch(1);
    journal.get(0);
    journal.snapshot(0);
    journal.patch(0);
    journal.removal();
    assert_eq!(journal.broken(&[]), [Rule::Snapshot; 5]);
}

#[test]
fn a_change_that_is_still_under_way_makes_the_snapshot_stale() {
    let mut journal = good();
    let removal = journal.entries.last().unwrap().started;
    let change = journal
        .entries
        .iter()
        .rposition(|e| e.endpoint == "update_subscription");
    journal.entries[change.unwrap()].finished = Some(removal + 10);
    assert_eq!(journal.broken(&[]), [Rule::Snapshot; 5]);
}

#[test]
fn a_restart_makes_the_snapshot_stale() {
    let journal = good();
    let removal = journal.entries.last().unwrap().started;
    // In the middle of the snapshot: the reads before it count no more.
    assert_eq!(journal.broken(&[removal - 6]), [Rule::Snapshot; 3]);
    assert_eq!(journal.broken(&[removal - 1]), [Rule::Snapshot; 5]);
    // What comes after the removal spoils nothing.
    assert_eq!(journal.broken(&[removal + 1]), []);
}

#[test]
fn a_removal_sent_again_needs_a_snapshot_of_its_own() {
    let mut journal = good();
    let again = journal.removal();
    (again.applied, again.status, again.code) = (false, Some(400), Some("3000".to_owned()));
    assert_eq!(journal.broken(&[]), [Rule::Snapshot; 5]);

    let mut journal = good();
    journal.snapshot(0);
    let again = journal.removal();
    (again.applied, again.status, again.code) = (false, Some(400), Some("3000".to_owned()));
    assert_eq!(journal.broken(&[]), []);
}

#[test]
fn a_second_removal_is_a_violation() {
    let mut journal = good();
    journal.snapshot(0);
    journal.removal();
    assert_eq!(journal.broken(&[]), [Rule::Once]);
}

#[test]
fn a_refused_removal_is_a_violation_unless_it_was_provoked() {
    let mut journal = Journal::new();
    journal.suspend_both();
    for code in ["2001", "3000"] {
        journal.snapshot(0);
        let refused = journal.removal();
        (refused.applied, refused.status) = (false, Some(400));
        refused.code = Some(code.to_owned());
    }
    journal.snapshot(0);
    journal.removal();
    // 3000 before anything was removed is a refusal like any other.
    assert_eq!(journal.broken(&[]), [Rule::Refused; 2]);

    let expected = [Expected::suspended_and_removed(&journal.customer)];
    let trial = Trial {
        may_be_refused: |entry| entry.status == Some(400),
        ..Trial::new(&journal.entries, &[], &expected)
    };
    assert_eq!(trial.violations(), []);
}

#[test]
fn a_change_without_a_read_of_its_own_is_a_violation() {
    // Another subscription's read does not count, nor one before the change before, nor one before a
    // restart.
    let mut journal = Journal::new();
    journal.get(1);
    journal.patch(1);
    journal.patch(0);
    journal.snapshot(0);
    journal.removal();
    assert_eq!(journal.broken(&[]), [Rule::Read]);

    let mut journal = Journal::new();
    journal.get(1);
    journal.patch(1);
    journal.get(0);
    let lost = journal.patch(0);
    (lost.applied, lost.finished, lost.status) = (false, None, None);
    journal.patch(0);
    journal.snapshot(0);
    journal.removal();
    assert_eq!(journal.broken(&[]), [Rule::Read]);

    let journal = good();
    let change = journal
        .entries
        .iter()
        .rposition(|e| e.endpoint == "update_subscription");
    let position = journal.entries[change.unwrap()].started;
    assert_eq!(journal.broken(&[position - 1]), [Rule::Read]);
}

#[test]
fn suspending_less_twice_something_else_or_too_late_is_a_violation() {
    let mut less = Journal::new();
    less.get(0);
    less.patch(0);
    less.snapshot(0);
    less.removal();
    assert_eq!(less.broken(&[]), [Rule::Plan]);

    let mut twice = Journal::new();
    twice.suspend_both();
    twice.get(0);
    twice.patch(0);
    twice.snapshot(0);
    twice.removal();
    assert_eq!(twice.broken(&[]), [Rule::Plan]);

    let mut other = Journal::new();
    other.suspend_both();
    other.add("GET", "get_subscription", "/subscriptions/other");
    let change = other.add("PATCH", "update_subscription", "/subscriptions/other");
    change.applied = true;
    change.body = Some(json!({"status": "suspended"}));
    other.snapshot(0);
    other.removal();
    assert_eq!(other.broken(&[]), [Rule::Plan]);

    let mut late = good();
    late.get(0);
    late.patch(0).applied = false;
    assert_eq!(late.broken(&[]), [Rule::Plan]);

    let mut cancelled = good();
    let change = cancelled
        .entries
        .iter()
        .position(|e| e.endpoint == "update_subscription");
    cancelled.entries[change.unwrap()].body = Some(json!({"status": "deleted"}));
    assert_eq!(cancelled.broken(&[]), [Rule::Plan]);
}

#[test]
fn a_customer_that_is_never_removed_is_lost() {
    let mut journal = good();
    journal.entries.pop();
    assert_eq!(journal.broken(&[]), [Rule::Lost]);
}

#[test]
fn changing_a_customer_whom_nobody_wanted_removed_is_a_violation() {
    let journal = good();
    let violations = Trial::new(&journal.entries, &[], &[]).violations();
    assert_eq!(violations.len(), 3);
    assert!(
        violations
            .iter()
            .all(|violation| violation.rule == Rule::Plan)
    );
}
