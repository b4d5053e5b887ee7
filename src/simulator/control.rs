//! Steering the simulator: the same operations in the process and over HTTP.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::customers::{self, Obstacle};
use super::error::SimulatorError;
use super::faults::FaultRule;
use super::journal::JournalEntry;
use super::model::World;
use super::scenario::Scenario;
use super::server::Shared;
use super::wire;

/// Handle to a running simulator: clock, faults, actors, journal, state. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlHandle {
    pub(super) shared: Arc<Shared>,
}

/// What the simulator's clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClockReading {
    /// System time plus the offset.
    pub now: Timestamp,
    /// Microseconds by which the clock is ahead of system time; never shrinks.
    pub offset_micros: i64,
}

impl ControlHandle {
    /// What the clock shows.
    #[must_use]
    pub fn clock(&self) -> ClockReading {
        let clock = &self.shared.clock;
        ClockReading {
            now: clock.now(),
            offset_micros: clock.offset_micros(),
        }
    }

    /// The time by the simulator's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) -> ClockReading {
        self.shared
            .clock
            .advance_micros(i64::try_from(by.as_micros()).unwrap_or(i64::MAX));
        self.clock()
    }

    /// Moves the clock forward to `to`; `None` (and no change) where that lies in the past.
    pub fn set_clock(&self, to: Timestamp) -> Option<ClockReading> {
        self.shared.clock.set(to).then(|| self.clock())
    }

    /// Waits until the offset differs from `from`, at most for `wait`, and reads the clock.
    pub async fn clock_changed(&self, from: i64, wait: Duration) -> ClockReading {
        let mut offset = self.shared.clock.subscribe();
        let changed = offset.wait_for(|now| *now != from);
        // Neither a timeout nor a clock that ends is worth more than the reading.
        let _ = tokio::time::timeout(wait, changed).await.is_ok();
        self.clock()
    }

    /// Journal entries numbered above `after`.
    #[must_use]
    pub fn journal(&self, after: u64) -> Vec<JournalEntry> {
        self.shared.lock().journal.after(after).to_vec()
    }

    /// Forgets the journal so far.
    pub fn clear_journal(&self) {
        self.shared.lock().journal.clear();
    }

    /// Adds fault rules behind those in force.
    pub fn add_faults(&self, rules: Vec<FaultRule>) {
        self.shared.lock().faults.add(rules);
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// The fault rules in force, each with the number of requests that have matched it.
    #[must_use]
    pub fn faults(&self) -> Vec<(FaultRule, u64)> {
        self.shared.lock().faults.list()
    }

    /// Replaces everything that exists by `scenario`; clock, journal and faults stay.
    ///
    /// # Errors
    /// [`SimulatorError::Scenario`] where the scenario contradicts itself; nothing changes then.
    pub fn replace_scenario(&self, scenario: &Scenario) -> Result<(), SimulatorError> {
        let world = World::new(scenario, self.now())?;
        self.shared.lock().replace_world(world);
        Ok(())
    }

    /// What still stands in the way of removing this customer; `None` for an unknown one.
    #[must_use]
    pub fn obstacles(&self, partner: Uuid, customer: Uuid) -> Option<Vec<Obstacle>> {
        let now = self.now();
        let mut inner = self.shared.lock();
        let behaviour = inner.world.behaviour.clone();
        let customer = inner.world.customer_mut(partner, customer)?;
        customer.settle(&behaviour, now);
        Some(customers::obstacles(partner, customer, now))
    }

    /// Everything that exists, as JSON: partners, customers and what they have, in wire form.
    #[must_use]
    pub fn state(&self) -> Value {
        let now = self.now();
        let mut inner = self.shared.lock();
        let behaviour = inner.world.behaviour.clone();
        let mut partners = Vec::new();
        for partner in inner.world.partners.values_mut() {
            let tenant = partner.tenant_id;
            for customer in partner.customers.values_mut() {
                customer.settle(&behaviour, now);
            }
            let customers: Vec<Value> = partner
                .customers
                .values()
                .map(|c| {
                    let id = c.id;
                    json!({
                        "id": id,
                        "name": c.name,
                        "relationship": if c.removed.is_some() { "none" } else { &c.relationship },
                        "removedAt": c.removed.map(|r| r.at.to_string()),
                        "shows": c.shows(now),
                        "subscriptions": c.subscriptions.iter()
                            .map(|s| {
                                let mut body = wire::subscription(id, s);
                                if !s.azure.is_empty() {
                                    body["azureEntitlements"] = s.azure.iter()
                                        .map(|a| wire::azure_entitlement(id, &s.id, a))
                                        .collect();
                                }
                                body
                            })
                            .collect::<Vec<_>>(),
                        "reservations": c.reservations.iter()
                            .map(|r| json!({
                                "id": r.id, "name": r.name, "quantity": r.quantity,
                                "cancelled": r.cancelled, "expires": r.expires.to_string(),
                            }))
                            .collect::<Vec<_>>(),
                        "software": c.software.iter()
                            .map(|s| json!({
                                "orderId": s.order_id, "productId": s.product_id, "name": s.name,
                                "quantity": s.quantity,
                            }))
                            .collect::<Vec<_>>(),
                        "transfers": c.transfers.iter()
                            .map(|t| wire::transfer(c, t))
                            .collect::<Vec<_>>(),
                        "obstacles": customers::obstacles(tenant, c, now),
                    })
                })
                .collect();
            partners.push(json!({
                "tenantId": tenant,
                "name": partner.name,
                "customers": customers,
                "auditRecords": partner.audit.len(),
            }));
        }
        json!({ "now": now.to_string(), "partners": partners })
    }
}
