//! Gate: the last question before a changing call leaves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::OffboardingId;

use super::super::store::Store;
use super::super::upstream::SendGate;

/// Open while the claim outlives the request, no control event is newer than what the worker has
/// folded, and the snapshot that allowed the call is not stale.
pub(super) struct Gate {
    pub(super) store: Arc<dyn Store>,
    pub(super) id: OffboardingId,
    pub(super) fence: u64,
    /// Sequence that the worker has folded up to when it recorded the intent.
    pub(super) seen: u64,
    /// How long the claim must last from now.
    pub(super) needs: Duration,
    /// When what allowed the call is too old.
    pub(super) fresh_until: Option<Instant>,
    pub(super) lost: CancellationToken,
    pub(super) shutdown: CancellationToken,
}

#[async_trait]
impl SendGate for Gate {
    async fn may_send(&self) -> Result<(), String> {
        if self.lost.is_cancelled() {
            return Err("the claim was lost".to_owned());
        }
        if self.shutdown.is_cancelled() {
            return Err("the service is stopping".to_owned());
        }
        if self
            .fresh_until
            .is_some_and(|until| Instant::now() >= until)
        {
            return Err("what allowed it was read too long ago".to_owned());
        }
        match self
            .store
            .may_send(self.id, self.fence, self.seen, self.needs)
            .await
        {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err("the claim runs out, or somebody recorded a decision meanwhile".to_owned())
            }
            Err(error) => Err(format!("the store could not be asked: {error}")),
        }
    }
}
