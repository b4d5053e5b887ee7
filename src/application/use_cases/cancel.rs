//! Cancel: stops an offboarding before the point of no return.

use crate::domain::event::{EndReason, Ending, EventBody, Writer};
use crate::domain::ids::OffboardingId;
use crate::domain::offboarding::Offboarding;

use super::super::error::Error;
use super::super::log::Log;
use super::super::service::{Caller, Cancelled, Service, Status};
use super::super::store::{Append, Appender, StoreError};

/// How often a cancellation is tried against a worker that appends at the same time. Each conflict means
/// that the worker got further, so a removal or the end is near.
const TRIES: usize = 100;

impl Service {
    /// Cancels: from the recorded event on nothing new is changed, and what was changed is put back.
    /// Cancelling a cancelled or cancelling run returns it.
    ///
    /// # Errors
    /// [`Error::RemovalAlreadySent`], [`Error::OffboardingEnded`], [`Error::OffboardingNotFound`].
    pub async fn cancel(
        &self,
        caller: &Caller,
        id: OffboardingId,
        reason: &str,
    ) -> Result<Cancelled, Error> {
        for _ in 0..TRIES {
            let row = self.row(id).await?;
            let log = Log::of(&row)?;
            if log.offboarding.cancellation.is_some() {
                return Ok(cancelled(self.status_of(&row)?));
            }
            refuse(&log.offboarding)?;
            match self.try_cancel(caller, &log, reason).await {
                Ok(status) => {
                    tracing::info!(offboarding = %id, caller = %caller.id, state = %status.offboarding.state, "cancellation recorded");
                    self.work.notify_one();
                    return Ok(cancelled(status));
                }
                Err(StoreError::Conflict) => tokio::task::yield_now().await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Store(StoreError::Unavailable(
            "the offboarding kept changing; try again".to_owned(),
        )))
    }

    async fn try_cancel(
        &self,
        caller: &Caller,
        log: &Log,
        reason: &str,
    ) -> Result<Status, StoreError> {
        let id = log.offboarding.id;
        let after = log.offboarding.sequence;
        let partner = self.partner_of(log.offboarding.request.partner);
        let now = partner.map_or(log.offboarding.updated, |partner| partner.clock.now());
        let mut bodies = vec![EventBody::CancellationRequested {
            caller: caller.id.clone(),
            reason: reason.to_owned(),
        }];
        // Nothing was changed and nothing may be under way: it is over at once.
        if !log.offboarding.has_something_to_restore() {
            bodies.push(EventBody::Ended {
                ending: Ending::Cancelled,
                reason: EndReason::CancelledByCaller,
                message: "Cancelled before anything was changed.".to_owned(),
            });
        }
        let bad_log = |error: crate::domain::offboarding::BadLog| {
            StoreError::Corrupt(format!("log of {id}: {error}"))
        };
        let sealed = log.seal(now, Writer::Control, bodies).map_err(bad_log)?;
        self.store
            .append(Append {
                id,
                after,
                by: Appender::Control,
                events: sealed.events,
                columns: sealed.log.columns(now, &self.timing),
            })
            .await?;
        Ok(match partner {
            Some(partner) => self.status_of_log(sealed.log, partner),
            None => unconfigured(sealed.log),
        })
    }
}

/// Why it cannot be cancelled any more.
fn refuse(offboarding: &Offboarding) -> Result<(), Error> {
    let id = offboarding.id;
    if offboarding.state.is_terminal() {
        return Err(Error::OffboardingEnded {
            id,
            state: offboarding.state,
        });
    }
    if offboarding.removal_stands() {
        return Err(Error::RemovalAlreadySent { id });
    }
    Ok(())
}

fn cancelled(status: Status) -> Cancelled {
    Cancelled {
        irreversible: status.offboarding.not_restored(),
        status,
    }
}

fn unconfigured(log: Log) -> Status {
    Status {
        offboarding: log.offboarding,
        alias: None,
        next_action: None,
        waiting: None,
    }
}
