//! Drive: carries one claimed offboarding forward until it rests, ends, or the claim is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::event::{EventBody, Seen, Writer};
use crate::domain::judge::{Judgement, RemovalFailure};
use crate::domain::offboarding::{Offboarding, RemovalProgress};
use crate::domain::snapshot::Snapshot;
use crate::domain::step::Step;
use crate::domain::time::Time;

use super::super::log::Log;
use super::super::service::Partner;
use super::super::store::{Append, Appender, Claimed, StoreError};
use super::super::upstream::{Call, NotChanged, Priority};
use super::super::witness;
use super::Worker;
use super::gate::Gate;

/// How often an outcome that the store refuses to take is offered again before it is only logged.
const OUTCOME_TRIES: u32 = 100;

/// Why a drive stops before the offboarding rests.
#[derive(Debug)]
pub(super) enum Stop {
    /// The claim is somebody else's now.
    Lost,
    /// The store does not answer, or holds nonsense.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ClaimLost => Self::Lost,
            other => Self::Store(other),
        }
    }
}

/// One claimed offboarding under way.
pub(super) struct Drive {
    pub(super) worker: Worker,
    pub(super) partner: Partner,
    pub(super) fence: u64,
    pub(super) lost: CancellationToken,
    /// When the claim was taken: intents of other claims may be answered until one request timeout later.
    pub(super) claimed_at: Instant,
    /// The log as stored.
    pub(super) log: Log,
    /// Events decided on but not stored yet, and the fold with them.
    pending: Vec<EventBody>,
    pub(super) ahead: Offboarding,
    /// The newest snapshot of this claim, and when it came.
    snapshot: Option<(Snapshot, Instant)>,
}

impl Worker {
    /// Drives one claim.
    pub(super) async fn drive(&self, claimed: Claimed, lost: CancellationToken) {
        let (id, fence) = (claimed.row.id, claimed.fence);
        let log = match Log::of(&claimed.row) {
            Ok(log) => log,
            Err(error) => {
                tracing::error!(offboarding = %id, %error, "cannot read an offboarding; left alone until its claim runs out");
                return;
            }
        };
        let Some(partner) = self.partner(log.offboarding.request.partner).cloned() else {
            let _ = self.store.release(id, fence).await;
            return;
        };
        let mut drive = Drive {
            worker: self.clone(),
            partner,
            fence,
            lost,
            claimed_at: Instant::now(),
            ahead: log.offboarding.clone(),
            log,
            pending: Vec::new(),
            snapshot: None,
        };
        match drive.run().await {
            Ok(()) => {}
            Err(Stop::Lost) => {
                tracing::warn!(offboarding = %id, fence, "claim lost; another worker goes on");
            }
            // What cannot be read now cannot be read at once either: the claim runs out by itself.
            Err(Stop::Store(StoreError::Corrupt(error))) => {
                tracing::error!(offboarding = %id, %error, "cannot go on with an offboarding");
            }
            Err(Stop::Store(error)) => {
                tracing::error!(offboarding = %id, %error, "the store failed; going on when the claim can be taken again");
                let _ = self.store.release(id, fence).await;
            }
        }
    }
}

impl Drive {
    async fn run(&mut self) -> Result<(), Stop> {
        loop {
            if self.lost.is_cancelled() {
                return Err(Stop::Lost);
            }
            if self.worker.shutdown.is_cancelled() && self.pending.is_empty() {
                return Ok(self
                    .worker
                    .store
                    .release(self.log.offboarding.id, self.fence)
                    .await?);
            }
            let now = self.now();
            match self.ahead.next_step(now, self.fence, &self.worker.timing) {
                Step::Ended | Step::Rest { .. } => {
                    if self.commit(true).await? {
                        return Ok(());
                    }
                }
                Step::Record(bodies) => self.decide(bodies)?,
                Step::Snapshot => self.take_snapshot().await?,
                Step::Effects(ids) => {
                    let snapshot = self.snapshot.as_ref().map(|(snapshot, _)| snapshot.clone());
                    let Some(snapshot) = snapshot else {
                        // A clearance belongs to its claim, so this drive took the snapshot itself.
                        self.take_snapshot().await?;
                        continue;
                    };
                    let intents = self.ahead.intents(&ids, &snapshot);
                    let before = self.ahead.clone();
                    self.decide(vec![EventBody::EffectsIntended { intents }])?;
                    if self.commit(false).await? {
                        self.send_effects(&before, ids).await?;
                    }
                }
                Step::Settle(ids) => {
                    if self.commit(false).await? {
                        self.settle(ids).await?;
                    }
                }
                Step::Restore(ids) => {
                    let before = self.ahead.clone();
                    self.decide(vec![EventBody::RestoresIntended { ids: ids.clone() }])?;
                    if self.commit(false).await? {
                        self.send_restores(&before, ids).await?;
                    }
                }
                Step::Remove => {
                    self.decide(vec![EventBody::RemovalIntended])?;
                    if self.commit(false).await? {
                        self.send_removal().await?;
                    }
                }
                Step::LookUpRemoval => {
                    if self.commit(false).await? {
                        self.look_up_removal().await?;
                    }
                }
                Step::Observe => {
                    if self.commit(false).await? {
                        self.observe().await?;
                    }
                }
            }
        }
    }

    pub(super) fn now(&self) -> Time {
        self.partner.clock.now().max(self.ahead.updated)
    }

    pub(super) fn call(&self) -> Call {
        let started = self.ahead.first_effect.is_some() || self.ahead.removal.attempts > 0;
        Call {
            correlation: self.ahead.correlation,
            priority: if started {
                Priority::Started
            } else {
                Priority::Background
            },
            deadline: None,
        }
    }

    /// Takes events into the fold, to be stored with the next commit.
    pub(super) fn decide(&mut self, bodies: Vec<EventBody>) -> Result<(), Stop> {
        let ahead = Log {
            offboarding: self.ahead.clone(),
            head: self.log.head,
        };
        let by = Writer::Worker(self.fence);
        let sealed = ahead
            .seal(self.now(), by, bodies.clone())
            .map_err(corrupt)?;
        self.ahead = sealed.log.offboarding;
        self.pending.extend(bodies);
        Ok(())
    }

    /// Stores what is pending. `false`: somebody appended meanwhile; everything not sent was forgotten
    /// and has to be decided again on the new fold.
    pub(super) async fn commit(&mut self, release: bool) -> Result<bool, Stop> {
        if self.pending.is_empty() && !release {
            return Ok(true);
        }
        let bodies = std::mem::take(&mut self.pending);
        match self.append(bodies, release).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => {
                self.reload().await?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn append(&mut self, bodies: Vec<EventBody>, release: bool) -> Result<(), StoreError> {
        let now = self.now();
        let was = self.log.offboarding.state;
        let sealed = self
            .log
            .seal(now, Writer::Worker(self.fence), bodies)
            .map_err(StoreError::from)?;
        let append = Append {
            id: self.log.offboarding.id,
            after: self.log.offboarding.sequence,
            by: Appender::Worker {
                fence: self.fence,
                release,
            },
            events: sealed.events,
            columns: sealed.log.columns(now, &self.worker.timing),
        };
        self.worker.store.append(append).await?;
        self.log = sealed.log;
        self.ahead = self.log.offboarding.clone();
        self.announce(was);
        Ok(())
    }

    /// One line per change of state. The head of a finished log is published here, outside the store, so
    /// that nobody can later pass off another log as this one.
    fn announce(&self, was: crate::domain::offboarding::State) {
        let o = &self.log.offboarding;
        if o.state == was {
            return;
        }
        match &o.outcome {
            Some(outcome) => tracing::info!(
                offboarding = %o.id, partner = %self.partner.alias, customer = %o.request.customer,
                state = %o.state, reason = outcome.reason.as_str(), sequence = o.sequence,
                head = %hex::encode(self.log.head), "offboarding ended: {}", outcome.message
            ),
            None => tracing::info!(
                offboarding = %o.id, partner = %self.partner.alias, customer = %o.request.customer,
                state = %o.state, was = %was, sequence = o.sequence, "offboarding moved on"
            ),
        }
    }

    async fn reload(&mut self) -> Result<(), StoreError> {
        let id = self.log.offboarding.id;
        let row = self
            .worker
            .store
            .load(id)
            .await?
            .ok_or(StoreError::NotFound)?;
        self.log = Log::of(&row)?;
        self.ahead = self.log.offboarding.clone();
        self.pending.clear();
        Ok(())
    }

    /// Records what became of something that was sent. Never given up lightly: a conflict is folded
    /// again, a lost claim makes it a late effect that is recorded all the same.
    pub(super) async fn record_outcomes(&mut self, bodies: Vec<EventBody>) -> Result<(), Stop> {
        let mut lost = false;
        for attempt in 0..OUTCOME_TRIES {
            let result = if lost {
                self.append_late(bodies.clone()).await
            } else {
                self.append(bodies.clone(), false).await
            };
            match result {
                Ok(()) if lost => return Err(Stop::Lost),
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict) => self.reload().await?,
                Err(StoreError::ClaimLost) => {
                    lost = true;
                    self.reload().await?;
                }
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(offboarding = %self.log.offboarding.id, %error, "an outcome could not be stored; trying again");
                    tokio::time::sleep(Duration::from_millis(100) * (attempt + 1).min(50)).await;
                }
                Err(error) => {
                    tracing::error!(offboarding = %self.log.offboarding.id, %error, outcomes = ?bodies, "outcomes of effects that were sent could not be recorded");
                    return Err(error.into());
                }
            }
        }
        tracing::error!(offboarding = %self.log.offboarding.id, outcomes = ?bodies, "outcomes of effects that were sent could not be recorded");
        Err(Stop::Store(StoreError::Unavailable(
            "gave up recording an outcome".to_owned(),
        )))
    }

    /// Appends without a claim, as a control event: only what happened upstream, never a decision.
    async fn append_late(&mut self, bodies: Vec<EventBody>) -> Result<(), StoreError> {
        tracing::warn!(offboarding = %self.log.offboarding.id, outcomes = ?bodies, "recording a late effect");
        let now = self.now();
        let sealed = self
            .log
            .seal(now, Writer::Control, bodies)
            .map_err(StoreError::from)?;
        self.worker
            .store
            .append(Append {
                id: self.log.offboarding.id,
                after: self.log.offboarding.sequence,
                by: Appender::Control,
                events: sealed.events,
                columns: sealed.log.columns(now, &self.worker.timing),
            })
            .await?;
        self.log = sealed.log;
        self.ahead = self.log.offboarding.clone();
        Ok(())
    }

    async fn take_snapshot(&mut self) -> Result<(), Stop> {
        let began = Instant::now();
        let customer = self.ahead.request.customer;
        let snapshot = self.partner.upstream.snapshot(customer, &self.call()).await;
        let now = self.now();
        let bodies = match self
            .ahead
            .judge_snapshot(&snapshot, now, &self.worker.timing)
        {
            Judgement::Events(bodies) => bodies,
            Judgement::NeedsProof(answer) => {
                let proof = witness::earlier_removal(
                    self.worker.store.as_ref(),
                    self.partner.upstream.as_ref(),
                    self.partner.tenant,
                    customer,
                    now,
                    &self.call(),
                )
                .await?;
                match proof {
                    Ok(proof) => vec![Offboarding::found_not_related(answer, proof)],
                    Err(failure) => vec![self.ahead.deferred(failure, now)],
                }
            }
        };
        self.snapshot = Some((snapshot, began));
        self.decide(bodies)
    }

    /// The gate for what is sent from here on.
    pub(super) fn gate(&self) -> Arc<Gate> {
        Arc::new(self.gate_parts())
    }

    pub(super) fn gate_parts(&self) -> Gate {
        let settings = &self.worker.settings;
        let age = Duration::try_from(self.worker.timing.clearance_age).unwrap_or_default();
        Gate {
            store: self.worker.store.clone(),
            id: self.log.offboarding.id,
            fence: self.fence,
            seen: self.log.offboarding.sequence,
            needs: settings.request_timeout + settings.margin,
            fresh_until: self.snapshot.as_ref().map(|(_, began)| *began + age),
            lost: self.lost.clone(),
            shutdown: self.worker.shutdown.clone(),
        }
    }

    /// Waits until no request of an earlier claim can still be under way.
    pub(super) async fn outlive_other_claims(claimed_at: Instant, request_timeout: Duration) {
        tokio::time::sleep_until(claimed_at + request_timeout).await;
    }

    async fn send_removal(&mut self) -> Result<(), Stop> {
        let customer = self.ahead.request.customer;
        let upstream = self.partner.upstream.clone();
        let result = upstream
            .remove_relationship(customer, &self.call(), self.gate())
            .await;
        let result = result.map_err(|failure| match failure {
            NotChanged::NotSent(why) => RemovalFailure::NotSent(why),
            NotChanged::Failed(failure) => RemovalFailure::Failed(failure),
        });
        let body = self.ahead.judge_removal(result, self.now());
        self.record_outcomes(vec![body]).await
    }

    async fn look_up_removal(&mut self) -> Result<(), Stop> {
        let inherited = matches!(
            self.ahead.removal.progress,
            RemovalProgress::Intended { fence } if fence != self.fence
        );
        if inherited {
            let timeout = self.worker.settings.request_timeout;
            Self::outlive_other_claims(self.claimed_at, timeout).await;
        }
        let customer = self.ahead.request.customer;
        let since = self
            .ahead
            .removal
            .first_intent
            .unwrap_or(self.ahead.created);
        let call = self.call();
        let upstream = &self.partner.upstream;
        let (look, audit) = tokio::join!(
            upstream.observe_removal(customer, &self.ahead.customer_name, &call),
            upstream.audit(customer, since, &call),
        );
        let finding = witness::audit_finding(audit, since, self.ahead.correlation);
        let bodies = self.ahead.judge_lookup(
            witness::seen(&look),
            finding,
            self.now(),
            &self.worker.timing,
        );
        self.decide(bodies)
    }

    async fn observe(&mut self) -> Result<(), Stop> {
        let customer = self.ahead.request.customer;
        let call = self.call();
        let began = self.now();
        let upstream = self.partner.upstream.clone();
        let look = upstream
            .observe_removal(customer, &self.ahead.customer_name, &call)
            .await;
        let gone = matches!(witness::seen(&look), Seen::Gone { .. });
        let (mut audit, mut support_contact, mut subscriptions) = (None, None, None);
        if gone {
            let known = self.ahead.verification.as_ref();
            let ours = Some(self.ahead.correlation);
            let since = self
                .ahead
                .removal
                .first_intent
                .unwrap_or(self.ahead.created);
            let refused = |probe: &Option<crate::domain::event::Probe>| {
                matches!(probe, Some(crate::domain::event::Probe::Refused { .. }))
            };
            let wants_audit = known.is_none_or(|seen| seen.audit.is_none());
            let wants_contact = known.is_none_or(|seen| !refused(&seen.support_contact));
            let wants_subscriptions = known.is_none_or(|seen| !refused(&seen.subscriptions));
            let subscription = self
                .ahead
                .any_subscription()
                .filter(|_| wants_contact)
                .cloned();
            let ask_audit = async {
                if !wants_audit {
                    return None;
                }
                let records = upstream.audit(customer, since, &call).await.ok()?;
                witness::removal_record(&records, since, ours)
            };
            let ask_contact = async {
                let id = subscription?;
                let answer = upstream.probe_support_contact(customer, &id, &call).await;
                Some(witness::probe(answer))
            };
            let ask_subscriptions = async {
                if !wants_subscriptions {
                    return None;
                }
                Some(witness::probe(
                    upstream.probe_subscriptions(customer, &call).await,
                ))
            };
            (audit, support_contact, subscriptions) =
                tokio::join!(ask_audit, ask_contact, ask_subscriptions);
        }
        let next_at = self.ahead.next_look(began, gone, &self.worker.timing);
        self.decide(vec![EventBody::Observed {
            began,
            customer: witness::seen(&look),
            listed: witness::listed(&look),
            audit,
            support_contact,
            subscriptions,
            next_at,
        }])
    }
}

fn corrupt(error: crate::domain::offboarding::BadLog) -> Stop {
    Stop::Store(error.into())
}

impl From<crate::domain::offboarding::BadLog> for StoreError {
    fn from(error: crate::domain::offboarding::BadLog) -> Self {
        Self::Corrupt(error.to_string())
    }
}
