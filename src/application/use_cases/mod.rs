//! The use cases, one file each, and what they share.

mod cancel;
mod list;
mod preview;
mod remove;
mod status;

use std::sync::Arc;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::failure::{FailureClass, UpstreamFailure};
use crate::domain::ids::{CorrelationId, CustomerId, PartnerTenantId};
use crate::domain::snapshot::Snapshot;
use crate::domain::step::Timing;

use super::error::Error;
use super::log::Log;
use super::service::{Caller, Partner, Service, Status};
use super::store::{OffboardingRow, Store};
use super::upstream::{Call, Priority};
use super::watch::Hub;

impl Service {
    /// Puts the use cases together. Must be called within a tokio runtime.
    pub fn new(
        partners: Arc<Vec<Partner>>,
        store: Arc<dyn Store>,
        timing: Timing,
        work: Arc<Notify>,
    ) -> Self {
        let hub = Hub::follow(store.as_ref());
        Self {
            partners,
            store,
            timing,
            work,
            hub,
        }
    }

    /// The partner of that alias or tenant; the only one when `named` is empty.
    fn partner(&self, named: &str) -> Result<&Partner, Error> {
        let found = if named.is_empty() {
            match self.partners.as_slice() {
                [only] => Some(only),
                _ => None,
            }
        } else {
            let tenant = named.parse::<PartnerTenantId>().ok();
            self.partners
                .iter()
                .find(|p| p.alias.as_str() == named || Some(p.tenant) == tenant)
        };
        found.ok_or_else(|| Error::UnknownPartner {
            named: named.to_owned(),
            known: self.partners.iter().map(|p| p.alias.clone()).collect(),
        })
    }

    fn partner_of(&self, tenant: PartnerTenantId) -> Option<&Partner> {
        self.partners
            .iter()
            .find(|partner| partner.tenant == tenant)
    }

    /// Partner and customer of a request, which must not be the same tenant.
    fn relationship(&self, named: &str, customer: CustomerId) -> Result<&Partner, Error> {
        let partner = self.partner(named)?;
        if partner.tenant.0 == customer.0 {
            return Err(Error::OwnTenant);
        }
        Ok(partner)
    }

    /// Reads everything about a customer for somebody who waits.
    ///
    /// # Errors
    /// When the customer itself could not be read for a reason that is no blocker, or time is up.
    async fn read(
        &self,
        partner: &Partner,
        customer: CustomerId,
        call: &Call,
    ) -> Result<Snapshot, Error> {
        let snapshot = partner.upstream.snapshot(customer, call).await;
        if call
            .deadline
            .is_some_and(|deadline| deadline <= std::time::Instant::now())
        {
            return Err(Error::DeadlineExceeded);
        }
        match &snapshot.standing.value {
            Err(failure) if !is_blocker(failure) => Err(failure.clone().into()),
            _ => Ok(snapshot),
        }
    }

    /// What a stored offboarding looks like now.
    fn status_of(&self, row: &OffboardingRow) -> Result<Status, Error> {
        let log = Log::of(row)?;
        let partner = self.partner_of(log.offboarding.request.partner);
        let (next_action, waiting) = match partner {
            Some(partner) => {
                let now = partner.clock.now();
                (row.due, log.offboarding.waiting(now, &self.timing))
            }
            None => (row.due, None),
        };
        Ok(Status {
            alias: partner.map(|partner| partner.alias.clone()),
            offboarding: log.offboarding,
            next_action,
            waiting,
        })
    }

    /// What a log that was just written looks like now.
    fn status_of_log(&self, log: Log, partner: &Partner) -> Status {
        let now = partner.clock.now();
        Status {
            alias: Some(partner.alias.clone()),
            next_action: log.offboarding.due(now, &self.timing),
            waiting: log.offboarding.waiting(now, &self.timing),
            offboarding: log.offboarding,
        }
    }
}

/// Whether a failure to read the customer is a state of the customer rather than of the connection.
fn is_blocker(failure: &UpstreamFailure) -> bool {
    matches!(
        failure.class,
        FailureClass::CustomerUnderReview | FailureClass::CustomerLocked
    )
}

/// An upstream call on behalf of a caller who waits.
fn interactive(caller: &Caller, correlation: CorrelationId) -> Call {
    Call {
        correlation,
        priority: Priority::Interactive,
        deadline: caller.deadline,
    }
}

fn new_correlation() -> CorrelationId {
    CorrelationId(Uuid::new_v4())
}
