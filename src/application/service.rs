//! The use cases behind the RPCs.

use std::sync::Arc;
use std::time::Instant;

use crate::domain::event::Event;
use crate::domain::ids::{
    CallerId, CustomerId, OffboardingId, PartnerAlias, PartnerTenantId, RequestId,
};
use crate::domain::item::Item;
use crate::domain::offboarding::{Offboarding, State};
use crate::domain::plan::Plan;
use crate::domain::policy::Policy;
use crate::domain::snapshot::Snapshot;
use crate::domain::step::Timing;
use crate::domain::time::Time;
use crate::domain::waiting::Waiting;

use super::clock::Clock;
use super::store::{Filter, Store};
use super::upstream::PartnerCenter;

/// Who calls, and until when the answer is wanted.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub id: CallerId,
    /// Until when; `None`: no deadline.
    pub deadline: Option<Instant>,
}

/// One configured partner.
#[derive(Clone)]
pub struct Partner {
    /// Its alias.
    pub alias: PartnerAlias,
    /// Its tenant.
    pub tenant: PartnerTenantId,
    /// Its Partner Center.
    pub upstream: Arc<dyn PartnerCenter>,
    /// Its business clock.
    pub clock: Arc<dyn Clock>,
}

/// What a preview shows.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Alias of the partner.
    pub alias: PartnerAlias,
    /// Everything read.
    pub snapshot: Snapshot,
    /// What the customer has.
    pub items: Vec<Item>,
    /// What would be done and what is in the way.
    pub plan: Plan,
}

/// An offboarding with what can only be said now.
#[derive(Debug, Clone)]
pub struct Status {
    /// The fold.
    pub offboarding: Offboarding,
    /// Alias of the partner, if it is configured.
    pub alias: Option<PartnerAlias>,
    /// When the worker looks next.
    pub next_action: Option<Time>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
}

/// A request to remove, as far as it could be checked without looking at anything.
#[derive(Debug, Clone)]
pub struct Removal {
    /// Partner alias or tenant; empty: the only one.
    pub partner: String,
    /// Which customer.
    pub customer: CustomerId,
    /// The caller's id.
    pub request_id: RequestId,
    /// Check only.
    pub validate_only: bool,
    /// The rest; its `partner` and `customer` are filled in by the use case.
    pub terms: Terms,
}

/// The terms of a removal: everything in [`Request`](crate::domain::event::Request) but whom it is about.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// What is allowed.
    pub policy: Policy,
    /// Not to be begun earlier.
    pub not_before: Option<Time>,
    /// The plan agreed to.
    pub plan_hash: Option<crate::domain::plan::PlanHash>,
    /// Why.
    pub reason: String,
    /// Labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// External references.
    pub references: Vec<crate::domain::event::ExternalReference>,
}

/// How to find one offboarding.
#[derive(Debug, Clone)]
pub enum Selector {
    /// By id.
    Id(OffboardingId),
    /// The newest of a customer.
    Newest {
        /// Partner alias or tenant; empty: the only one.
        partner: String,
        /// Which customer.
        customer: CustomerId,
    },
    /// The newest with this reference.
    Reference(crate::domain::event::ExternalReference),
}

/// One event of a log with what is stored beside it.
#[derive(Debug, Clone)]
pub struct LoggedEvent {
    /// The event.
    pub event: Event,
    /// State after it.
    pub state: State,
    /// The event as stored and hashed.
    pub text: String,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Token of the next page; `None`: this was the last.
    pub next: Option<String>,
}

/// A filter as callers write it: partners by alias or tenant.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Aliases or tenants.
    pub partners: Vec<String>,
    /// Everything else; its `partners` is filled in by the use case.
    pub filter: Filter,
}

/// What became of a cancellation.
#[derive(Debug, Clone)]
pub struct Cancelled {
    /// Where the offboarding stands now.
    pub status: Status,
    /// What can no longer be undone, in sentences.
    pub irreversible: Vec<String>,
}

/// The use cases.
#[derive(Clone)]
pub struct Service {
    pub(super) partners: Arc<Vec<Partner>>,
    pub(super) store: Arc<dyn Store>,
    pub(super) timing: Timing,
    /// Wakes the worker of this process.
    pub(super) work: Arc<tokio::sync::Notify>,
    pub(super) hub: super::watch::Hub,
}
