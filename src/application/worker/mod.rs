//! Worker: claims due offboardings and drives each forward until nothing is due.

mod drive;
mod effects;
mod gate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::{OffboardingId, PartnerTenantId};
use crate::domain::step::Timing;

use super::service::Partner;
use super::store::{PartnerNow, Store, StoreError};

/// How the worker works.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// Offboardings driven at the same time.
    pub max_in_flight: usize,
    /// Effects of one offboarding sent at the same time.
    pub effects_in_flight: usize,
    /// How long a claim lasts unless renewed.
    pub lease: Duration,
    /// How long one upstream request may take: an intent of another claim may still be answered for that
    /// long.
    pub request_timeout: Duration,
    /// By how much a claim must outlive the request timeout when something is sent.
    pub margin: Duration,
    /// How often to look for work without being woken.
    pub poll: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
            effects_in_flight: 64,
            lease: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
            margin: Duration::from_secs(5),
            poll: Duration::from_secs(1),
        }
    }
}

/// Everything the worker needs.
#[derive(Clone)]
pub struct Worker {
    /// Whose offboardings.
    pub partners: Arc<Vec<Partner>>,
    /// Where they are.
    pub store: Arc<dyn Store>,
    /// Spans of business time.
    pub timing: Timing,
    /// How it works.
    pub settings: WorkerSettings,
    /// Woken when there may be work.
    pub work: Arc<Notify>,
    /// Asked to stop: begins nothing new, finishes what it sent, gives its claims back.
    pub shutdown: CancellationToken,
}

/// The claims held at the moment, so that one statement renews them all.
#[derive(Clone, Default)]
struct Claims {
    held: Arc<Mutex<HashMap<OffboardingId, Held>>>,
}

struct Held {
    fence: u64,
    lost: CancellationToken,
}

impl Claims {
    /// Holds a claim until the guard is dropped, also by a panic: a claim that nobody works on must run
    /// out.
    fn hold(&self, id: OffboardingId, fence: u64) -> (CancellationToken, Hold) {
        let lost = CancellationToken::new();
        let held = Held {
            fence,
            lost: lost.clone(),
        };
        self.lock().insert(id, held);
        let guard = Hold {
            claims: self.clone(),
            id,
            fence,
        };
        (lost, guard)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<OffboardingId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> Vec<(OffboardingId, u64)> {
        let held = self.lock();
        held.iter().map(|(id, held)| (*id, held.fence)).collect()
    }

    fn keep(&self, renewed: &[(OffboardingId, u64)], asked: &[(OffboardingId, u64)]) {
        let held = self.lock();
        for claim in asked.iter().filter(|claim| !renewed.contains(claim)) {
            if let Some(held) = held.get(&claim.0).filter(|held| held.fence == claim.1) {
                held.lost.cancel();
            }
        }
    }
}

/// A claim that is kept alive as long as this lives.
struct Hold {
    claims: Claims,
    id: OffboardingId,
    fence: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.claims.lock();
        // A newer claim of the same offboarding may stand there by now.
        if held
            .get(&self.id)
            .is_some_and(|held| held.fence == self.fence)
        {
            held.remove(&self.id);
        }
    }
}

impl Worker {
    /// Works until shutdown is asked for; then returns when everything begun has been finished or given
    /// back.
    pub async fn run(self) {
        let claims = Claims::default();
        let renewing = tokio::spawn(self.clone().renew(claims.clone()));
        let mut drives = JoinSet::new();
        while !self.shutdown.is_cancelled() {
            while let Some(ended) = drives.try_join_next() {
                report(ended);
            }
            let free = self.settings.max_in_flight.saturating_sub(drives.len());
            let claimed = if free > 0 {
                self.claim(free).await
            } else {
                Vec::new()
            };
            let got = claimed.len();
            for claim in claimed {
                let (lost, hold) = claims.hold(claim.row.id, claim.fence);
                let worker = self.clone();
                drives.spawn(async move {
                    let _hold = hold;
                    worker.drive(claim, lost).await;
                });
            }
            if got == 0 || got == free {
                self.wait(&mut drives, got == free).await;
            }
        }
        while let Some(ended) = drives.join_next().await {
            report(ended);
        }
        renewing.abort();
    }

    async fn claim(&self, free: usize) -> Vec<super::store::Claimed> {
        let limit = u32::try_from(free).unwrap_or(u32::MAX);
        match self
            .store
            .claim(&self.partners_now(), limit, self.settings.lease)
            .await
        {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(%error, "could not claim work; trying again");
                Vec::new()
            }
        }
    }

    /// Waits until there may be something to claim, or room for it.
    async fn wait(&self, drives: &mut JoinSet<()>, full: bool) {
        let sleep = if full {
            self.settings.poll
        } else {
            self.until_due().await
        };
        let jumped = futures::future::select_all(
            self.partners
                .iter()
                .map(|partner| Box::pin(partner.clock.jumped())),
        );
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.work.notified() => {}
            _ = jumped, if !self.partners.is_empty() => {}
            Some(ended) = drives.join_next(), if !drives.is_empty() => report(ended),
            () = tokio::time::sleep(sleep) => {}
        }
    }

    /// How long nothing falls due, at most the polling interval.
    async fn until_due(&self) -> Duration {
        match self.store.next_due(&self.partners_now()).await {
            Ok(due) => due.map_or(self.settings.poll, |due| due.min(self.settings.poll)),
            Err(_) => self.settings.poll,
        }
    }

    fn partners_now(&self) -> Vec<PartnerNow> {
        self.partners
            .iter()
            .map(|partner| PartnerNow {
                partner: partner.tenant,
                now: partner.clock.now(),
            })
            .collect()
    }

    fn partner(&self, tenant: PartnerTenantId) -> Option<&Partner> {
        self.partners
            .iter()
            .find(|partner| partner.tenant == tenant)
    }

    /// Keeps the held claims alive.
    async fn renew(self, claims: Claims) {
        let mut tick = tokio::time::interval_at(
            Instant::now() + self.settings.lease / 3,
            self.settings.lease / 3,
        );
        loop {
            tick.tick().await;
            let asked = claims.list();
            if asked.is_empty() {
                continue;
            }
            match self.store.renew(&asked, self.settings.lease).await {
                Ok(renewed) => claims.keep(&renewed, &asked),
                // Not renewed is not lost yet: the send gate knows when a claim runs out.
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(%error, "could not renew claims; trying again");
                }
                Err(error) => tracing::error!(%error, "could not renew claims"),
            }
        }
    }
}

/// A drive never fails but by a panic; its offboarding is taken up again when the claim has run out.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(panic) = ended {
        tracing::error!(%panic, "driving an offboarding failed");
    }
}
