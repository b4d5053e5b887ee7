//! Effects: sends the clearing and the restoring effects of one offboarding, side by side.
//!
//! Each effect is read before it is sent. Outcomes are stored as they come; those that come while the
//! store is busy go together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::domain::event::EventBody;
use crate::domain::failure::{FailureClass, UpstreamFailure};
use crate::domain::ids::{CustomerId, ResourceId};
use crate::domain::judge::ChangeResult;
use crate::domain::offboarding::{Effect, Offboarding, Progress};
use crate::domain::subscription::{ChangeableFields, SubscriptionStatus};

use super::super::upstream::{
    Call, NotChanged, PartnerCenter, SubscriptionChange, SubscriptionReading,
};
use super::drive::{Drive, Stop};
use super::gate::Gate;

/// What every effect of a batch needs.
#[derive(Clone)]
struct Batch {
    upstream: Arc<dyn PartnerCenter>,
    customer: CustomerId,
    call: Call,
    gate: Arc<Gate>,
    slots: Arc<Semaphore>,
    /// Intents of other claims wait until then.
    free_from: (Instant, Duration),
    fence: u64,
}

impl Batch {
    /// Waits for a slot and, for an intent of another claim, until its request is certainly over.
    async fn slot(&self, effect: &Effect) -> Option<tokio::sync::SemaphorePermit<'_>> {
        if intended_by_another_claim(effect, self.fence) {
            Drive::outlive_other_claims(self.free_from.0, self.free_from.1).await;
        }
        self.slots.acquire().await.ok()
    }

    async fn read(&self, id: &ResourceId) -> Result<SubscriptionReading, UpstreamFailure> {
        self.upstream
            .subscription(self.customer, id, &self.call)
            .await
    }

    async fn change(
        &self,
        reading: &SubscriptionReading,
        change: &SubscriptionChange,
    ) -> ChangeResult {
        let gate = self.gate.clone();
        let sent =
            self.upstream
                .change_subscription(self.customer, reading, change, &self.call, gate);
        match sent.await {
            Ok(after) => ChangeResult::Done(after),
            Err(NotChanged::NotSent(why)) => ChangeResult::NotSent(why),
            Err(NotChanged::Failed(failure)) => ChangeResult::Failed(failure),
        }
    }

    async fn suspend(&self, effect: &Effect) -> ChangeResult {
        let Some(_slot) = self.slot(effect).await else {
            return ChangeResult::NotSent("the worker stops".to_owned());
        };
        let reading = match self.read(&effect.action.resource.id).await {
            Ok(reading) => reading,
            Err(failure) => return ChangeResult::Unread(failure),
        };
        match &reading.fields.status {
            SubscriptionStatus::Active => {
                let change = SubscriptionChange {
                    status: Some(SubscriptionStatus::Suspended),
                    ..SubscriptionChange::default()
                };
                self.change(&reading, &change).await
            }
            status if *status == SubscriptionStatus::Suspended || status.is_over() => {
                ChangeResult::FoundDone(reading.fields)
            }
            status => ChangeResult::Unread(UpstreamFailure::new(
                FailureClass::Pending,
                "reading a subscription before suspending it",
                format!("its status is {status}"),
            )),
        }
    }

    async fn restore(&self, folded: &Offboarding, effect: &Effect) -> Restore {
        let Some(_slot) = self.slot(effect).await else {
            return Restore::Tried(ChangeResult::NotSent("the worker stops".to_owned()));
        };
        let reading = match self.read(&effect.action.resource.id).await {
            Ok(reading) => reading,
            Err(failure) => return Restore::Tried(ChangeResult::Unread(failure)),
        };
        match folded.restoration(effect, &reading.fields) {
            Err(decided) => Restore::Decided(decided),
            Ok(before) => {
                let change = back_to(&before, &reading.fields);
                Restore::Tried(self.change(&reading, &change).await)
            }
        }
    }
}

/// What became of a restoration.
enum Restore {
    /// Reading decided that nothing is sent.
    Decided(Box<EventBody>),
    /// It was tried.
    Tried(ChangeResult),
}

/// Only what differs is changed back.
fn back_to(before: &ChangeableFields, found: &ChangeableFields) -> SubscriptionChange {
    SubscriptionChange {
        status: (before.status != found.status).then(|| before.status.clone()),
        auto_renew: before
            .auto_renew
            .filter(|_| before.auto_renew != found.auto_renew),
        next_term: before
            .next_term
            .clone()
            .filter(|_| before.next_term != found.next_term),
        scheduled_actions: before
            .scheduled_actions
            .clone()
            .filter(|_| before.scheduled_actions != found.scheduled_actions),
    }
}

fn intended_by_another_claim(effect: &Effect, fence: u64) -> bool {
    matches!(
        effect.progress,
        Progress::Intended { fence: by } | Progress::RestoreIntended { fence: by, .. } if by != fence
    )
}

impl Drive {
    fn batch(&self) -> Batch {
        let settings = &self.worker.settings;
        Batch {
            upstream: self.partner.upstream.clone(),
            customer: self.ahead.request.customer,
            call: self.call(),
            gate: self.gate(),
            slots: Arc::new(Semaphore::new(settings.effects_in_flight)),
            free_from: (self.claimed_at, settings.request_timeout),
            fence: self.fence,
        }
    }

    /// Suspends side by side and records each outcome. `before`: the fold before these intents.
    pub(super) async fn send_effects(
        &mut self,
        before: &Offboarding,
        ids: Vec<ResourceId>,
    ) -> Result<(), Stop> {
        let batch = self.batch();
        let effects = effects_of(before, &ids);
        let results = spawn_all(effects, move |effect| {
            let batch = batch.clone();
            async move {
                let result = batch.suspend(&effect).await;
                (effect, result)
            }
        });
        self.record_all(results, |drive, (effect, result)| {
            before.judge_change(&effect, result, drive.now())
        })
        .await
    }

    /// Puts back side by side and records each outcome. `before`: the fold before these intents.
    pub(super) async fn send_restores(
        &mut self,
        before: &Offboarding,
        ids: Vec<ResourceId>,
    ) -> Result<(), Stop> {
        let mut batch = self.batch();
        // What is put back rests on its own fresh read, not on a snapshot.
        batch.gate = Arc::new(Gate {
            fresh_until: None,
            ..self.gate_parts()
        });
        let folded = Arc::new(before.clone());
        let results = spawn_all(effects_of(before, &ids), move |effect| {
            let (batch, folded) = (batch.clone(), folded.clone());
            async move {
                let result = batch.restore(&folded, &effect).await;
                (effect, result)
            }
        });
        self.record_all(results, |drive, (effect, result)| match result {
            Restore::Decided(body) => *body,
            Restore::Tried(result) => before.judge_restored(&effect, result, drive.now()),
        })
        .await
    }

    /// Reads what became of intents without outcome while turning back; sends nothing.
    pub(super) async fn settle(&mut self, ids: Vec<ResourceId>) -> Result<(), Stop> {
        let batch = self.batch();
        let before = self.ahead.clone();
        let results = spawn_all(effects_of(&before, &ids), move |effect| {
            let batch = batch.clone();
            async move {
                let _slot = batch.slot(&effect).await;
                let read = batch.read(&effect.action.resource.id).await;
                (effect, read.map(|reading| reading.fields))
            }
        });
        self.record_all(results, |drive, (effect, read)| {
            before.judge_settled(&effect, read, drive.now())
        })
        .await
    }

    /// Records outcomes as they come, those that are ready at the same moment together.
    async fn record_all<T>(
        &mut self,
        mut results: mpsc::Receiver<T>,
        judge: impl Fn(&Self, T) -> EventBody,
    ) -> Result<(), Stop> {
        let mut lost = false;
        while let Some(first) = results.recv().await {
            let mut bodies = vec![judge(self, first)];
            while let Ok(next) = results.try_recv() {
                bodies.push(judge(self, next));
            }
            // Everything that was sent is waited for and recorded, whoever owns the claim by then.
            match self.record_outcomes(bodies).await {
                Ok(()) => {}
                Err(Stop::Lost) => lost = true,
                Err(stop) => return Err(stop),
            }
        }
        if lost { Err(Stop::Lost) } else { Ok(()) }
    }
}

fn effects_of(folded: &Offboarding, ids: &[ResourceId]) -> Vec<Effect> {
    ids.iter()
        .filter_map(|id| folded.effect(id))
        .cloned()
        .collect()
}

/// Runs one task per effect; their results come in the order in which they end.
fn spawn_all<T, F>(
    effects: Vec<Effect>,
    run: impl Fn(Effect) -> F + Send + 'static,
) -> mpsc::Receiver<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (send, results) = mpsc::channel(effects.len().max(1));
    for effect in effects {
        let (send, task) = (send.clone(), run(effect));
        tokio::spawn(async move {
            // The receiver goes only when the store is given up; the effect is logged there.
            let _ = send.send(task.await).await;
        });
    }
    results
}
