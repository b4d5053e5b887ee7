//! Remove: checks in the fixed order and accepts a durable offboarding.

use uuid::Uuid;

use crate::domain::event::{Basis, EventBody, Request};
use crate::domain::ids::{CorrelationId, OffboardingId};
use crate::domain::judge;
use crate::domain::plan::plan;
use crate::domain::time::Time;

use super::super::error::{Earlier, Error};
use super::super::log::{Log, Sealed};
use super::super::service::{Caller, Partner, Removal, Service, Status};
use super::super::store::{Acceptance, KnownRequest, NewOffboarding, StoreError};
use super::super::witness;
use super::{interactive, new_correlation};

impl Service {
    /// Accepts an offboarding: look up the request, look for an unfinished one, read upstream and
    /// check, accept in one transaction.
    ///
    /// With `validate_only` everything but the acceptance happens; the answer has the nil id.
    ///
    /// # Errors
    /// Every precondition as its own [`Error`]; then nothing is remembered.
    pub async fn remove(&self, caller: &Caller, removal: Removal) -> Result<Status, Error> {
        let partner = self.relationship(&removal.partner, removal.customer)?;
        let request = request(partner, &removal);
        let digest = request.digest();
        if let Some(repeated) = self.repeated(caller, &removal, digest).await? {
            return Ok(repeated);
        }
        let correlation = new_correlation();
        let checked = async {
            let unfinished = self
                .store
                .unfinished(partner.tenant, removal.customer)
                .await?;
            if let Some(existing) = unfinished {
                return Err(Error::OffboardingInProgress { existing });
            }
            self.check(caller, partner, &request, correlation).await
        };
        let basis = match checked.await {
            Ok(basis) => basis,
            // A duplicate sent at the same time may have been accepted meanwhile, and what it does is
            // what stands in our way: then this is a repeat, not a refusal.
            Err(refusal) => {
                return self
                    .repeated(caller, &removal, digest)
                    .await?
                    .ok_or(refusal);
            }
        };
        let now = partner.clock.now();
        let id = match removal.validate_only {
            true => OffboardingId(Uuid::nil()),
            false => OffboardingId(Uuid::now_v7()),
        };
        let accepted = EventBody::Accepted {
            request: request.clone(),
            request_id: removal.request_id,
            caller: caller.id.clone(),
            correlation,
            basis,
        };
        let Sealed { log, events } = Log::begin(id, now, accepted)
            .map_err(|error| Error::Store(StoreError::Corrupt(error.to_string())))?;
        if removal.validate_only {
            return Ok(self.status_of_log(log, partner));
        }
        let new = NewOffboarding {
            id,
            partner: partner.tenant,
            customer: removal.customer,
            caller: caller.id.clone(),
            request_id: removal.request_id,
            request_digest: digest,
            created: log.offboarding.created,
            labels: request.labels.into_iter().collect(),
            references: request
                .references
                .into_iter()
                .map(|r| (r.system, r.id))
                .collect(),
            columns: log.columns(now, &self.timing),
            events,
        };
        match self.store.accept(new).await? {
            Acceptance::Accepted => {
                tracing::info!(
                    offboarding = %id, partner = %partner.alias, customer = %removal.customer,
                    caller = %caller.id, correlation = %correlation, state = %log.offboarding.state,
                    "offboarding accepted"
                );
                self.work.notify_one();
                Ok(self.status_of_log(log, partner))
            }
            Acceptance::Repeated(known) => self.first_answer(&known, digest).await,
            Acceptance::Busy(existing) => Err(Error::OffboardingInProgress { existing }),
        }
    }

    /// The offboarding that this very request started before, if it did.
    async fn repeated(
        &self,
        caller: &Caller,
        removal: &Removal,
        digest: [u8; 32],
    ) -> Result<Option<Status>, Error> {
        match self
            .store
            .known_request(&caller.id, removal.request_id)
            .await?
        {
            // Only acceptance remembers an id, so a dry run is never the request that is remembered.
            Some(known) if removal.validate_only => {
                Err(Error::RequestIdReused { existing: known.id })
            }
            Some(known) => self.first_answer(&known, digest).await.map(Some),
            None => Ok(None),
        }
    }

    async fn first_answer(&self, known: &KnownRequest, digest: [u8; 32]) -> Result<Status, Error> {
        if known.request_digest != digest {
            return Err(Error::RequestIdReused { existing: known.id });
        }
        let row = self
            .store
            .load(known.id)
            .await?
            .ok_or(StoreError::NotFound)?;
        self.status_of(&row)
    }

    /// Reads upstream and checks, unless the request is for later and agrees to no plan.
    async fn check(
        &self,
        caller: &Caller,
        partner: &Partner,
        request: &Request,
        correlation: CorrelationId,
    ) -> Result<Basis, Error> {
        let later = |now: Time| {
            request
                .not_before
                .is_some_and(|not_before| not_before > now)
        };
        if later(partner.clock.now()) && request.plan_hash.is_none() {
            return Ok(Basis::Unread);
        }
        let call = interactive(caller, correlation);
        let snapshot = self.read(partner, request.customer, &call).await?;
        let now = partner.clock.now();
        if let Some(answer) = snapshot.not_related() {
            let proof = witness::earlier_removal(
                self.store.as_ref(),
                partner.upstream.as_ref(),
                partner.tenant,
                request.customer,
                now,
                &call,
            )
            .await?;
            return match proof {
                Ok(Some(proof)) => Ok(Basis::AlreadyRemoved { proof }),
                Ok(None) => Err(Error::CustomerNotRelated {
                    customer: request.customer,
                    earlier: Earlier::Nothing,
                    answer: Box::new(answer.clone()),
                }),
                Err(failure) => Err(failure.into()),
            };
        }
        let plan = plan(&snapshot, request.policy, now);
        if let Some(expected) = request.plan_hash
            && expected != plan.hash
        {
            return Err(Error::PlanChanged {
                expected,
                actual: plan.hash,
            });
        }
        let standing: Vec<_> = plan.standing().cloned().collect();
        if !standing.is_empty() {
            return Err(Error::Blocked(standing));
        }
        let snapshot = Box::new(judge::record(&[], &snapshot, &plan.blockers));
        Ok(Basis::Read {
            snapshot,
            plan: Box::new(plan),
        })
    }
}

fn request(partner: &Partner, removal: &Removal) -> Request {
    let terms = removal.terms.clone();
    Request {
        partner: partner.tenant,
        customer: removal.customer,
        policy: terms.policy,
        not_before: terms.not_before,
        plan_hash: terms.plan_hash,
        reason: terms.reason,
        labels: terms.labels,
        references: terms.references,
    }
}
