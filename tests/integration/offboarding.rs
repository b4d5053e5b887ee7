//! The main job against the simulated Partner Center, judged by its journal.

mod accepting;
mod blocked;
mod cancelling;
mod removing;
mod verifying;

use relationship_service::application::service::Status;
use relationship_service::domain::event::EndReason;
use relationship_service::domain::ids::OffboardingId;
use relationship_service::domain::offboarding::State;
use relationship_service::simulator::{
    Act, Action, Actor, Fault, FaultMatch, FaultRule, JournalEntry, Scenario,
};

use crate::harness::{SUSPEND, World};

/// A world with one customer that has so many active legacy subscriptions.
async fn world(subscriptions: usize) -> World {
    let mut scenario = Scenario::seeded(2, subscriptions, 7);
    // The first customer has an add-on among its subscriptions.
    scenario.partners[0].customers.remove(0);
    World::new(scenario).await
}

/// Asserts how an offboarding ended.
#[track_caller]
fn assert_ended(status: &Status, state: State, reason: EndReason) {
    let offboarding = &status.offboarding;
    let outcome = offboarding.outcome.as_ref().map(|outcome| outcome.reason);
    assert_eq!(
        (offboarding.state, outcome),
        (state, Some(reason)),
        "{status:#?}"
    );
}

impl World {
    /// Requests that asked for a change, as the simulator saw them.
    fn changes(&self) -> Vec<JournalEntry> {
        let journal = self.simulator.control().journal(0);
        journal
            .into_iter()
            .filter(|entry| entry.method == "PATCH")
            .collect()
    }

    /// Removals that the simulator was asked for.
    fn removals(&self) -> Vec<JournalEntry> {
        let about_customer = |entry: &JournalEntry| !entry.path.contains("/subscriptions/");
        self.changes().into_iter().filter(about_customer).collect()
    }

    /// A fault for every request of this method and path, so many times.
    fn fault(&self, method: &str, path: &str, count: Option<u64>, fault: Fault) {
        self.simulator.control().add_faults(vec![FaultRule {
            matching: FaultMatch {
                method: Some(method.to_owned()),
                path: Some(path.to_owned()),
                ..FaultMatch::default()
            },
            skip: 0,
            count,
            probability: None,
            fault,
        }]);
    }

    /// Somebody does something to the first customer behind the service's back.
    fn act(&self, actor: Actor, action: Action) {
        let customer = self.customer(0).0;
        self.simulator
            .control()
            .act(&Act {
                actor,
                partner: None,
                customer,
                action,
            })
            .unwrap();
    }

    /// Ids of the first customer's subscriptions.
    fn subscriptions(&self) -> Vec<String> {
        self.statuses().into_iter().map(|(id, _)| id).collect()
    }

    /// Ids and statuses of the first customer's subscriptions as Partner Center has them.
    fn statuses(&self) -> Vec<(String, String)> {
        let state = self.simulator.control().state();
        let customer = &state["partners"][0]["customers"][0];
        let subscriptions = customer["subscriptions"].as_array().unwrap();
        let mut statuses: Vec<_> = subscriptions
            .iter()
            .map(|s| (text(&s["id"]), text(&s["status"])))
            .collect();
        statuses.sort();
        statuses
    }

    /// Starts an offboarding whose second subscription is busy upstream for a while, and returns when all
    /// others are suspended and it rests.
    async fn half_way(&self) -> OffboardingId {
        let busy = self.subscriptions()[1].clone();
        let path = format!("*/subscriptions/{busy}");
        self.fault("PATCH", &path, Some(1), status(409, Some(800_082)));
        let accepted = self.remove(self.customer(0), SUSPEND).await.unwrap();
        let id = accepted.offboarding.id;
        let resting = |status: &Status| {
            let rests = status
                .next_action
                .is_some_and(|at| at > self.simulator.control().now());
            let refused = status.offboarding.last_failure.is_some();
            rests && refused
        };
        let status = self.wait_without_clock(id, resting).await;
        assert_eq!(status.offboarding.state, State::Clearing, "{status:#?}");
        id
    }
}

/// A fault that refuses with this status and code.
fn status(status: u16, code: Option<u32>) -> Fault {
    Fault::Status {
        status,
        code,
        description: Some("simulated refusal".to_owned()),
        body: None,
        retry_after_seconds: None,
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap().to_owned()
}
