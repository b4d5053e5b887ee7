//! The port: Partner Center for one partner.

use std::sync::Arc;

use async_trait::async_trait;

use super::relationships::ModelCache;
use super::request::Api;
use super::settings::{PartnerSettings, SettingsError};
use super::{audit, customers, snapshot, subscriptions};
use crate::application::clock::Clock;
use crate::application::upstream::{
    AuditRecord, Call, NotChanged, Observation, PartnerCenter, SendGate, Sighting,
    SubscriptionChange, SubscriptionReading,
};
use crate::domain::failure::{FailureClass, UpstreamFailure};
use crate::domain::ids::{CustomerId, PartnerTenantId, ResourceId};
use crate::domain::snapshot::Snapshot;
use crate::domain::subscription::ChangeableFields;
use crate::domain::time::Time;
use crate::http::{AccessToken, Rates, TokenHealth, TokenUse};

/// Partner Center for one partner.
pub struct PartnerCenterClient {
    api: Api,
    models: ModelCache,
}

impl std::fmt::Debug for PartnerCenterClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartnerCenterClient")
            .field("settings", &self.api.settings)
            .field("stack", &self.api.stack)
            .finish_non_exhaustive()
    }
}

impl PartnerCenterClient {
    /// A client for the partner that `settings` describe. Opens no connection. `clock` is the
    /// partner's business clock: it dates what is read; waiting and tokens use real time.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(settings: PartnerSettings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        Ok(Self {
            api: Api::new(settings, clock)?,
            models: ModelCache::default(),
        })
    }

    /// Whose Partner Center this is.
    pub fn tenant(&self) -> PartnerTenantId {
        self.api.settings.tenant
    }

    /// Fetches a token if there is none and says what its claims show: whether work can start at all.
    ///
    /// # Errors
    /// Why there is no token that upstream would take.
    pub async fn check_token(&self) -> Result<TokenHealth, UpstreamFailure> {
        let token = self.api.stack.tokens().token().await?;
        Ok(token.health().clone())
    }

    /// What the token in use says about itself; `None` before the first one.
    pub fn token_health(&self) -> Option<TokenHealth> {
        self.api.stack.tokens().health()
    }

    /// The limiter's rates, for metrics.
    pub fn rates(&self) -> Rates {
        self.api.stack.rates()
    }

    /// One look with one token.
    async fn look(
        &self,
        customer: CustomerId,
        name: &str,
        token: &AccessToken,
        call: &Call,
    ) -> Observation {
        let at = self.api.now();
        let pinned = || TokenUse::Pinned(token.clone());
        let sighting = customers::sight(&self.api, customer, pinned(), call).await;
        let listed = match &sighting {
            Ok(Sighting::Gone(_)) => {
                Some(customers::listed(&self.api, customer, name, pinned(), call).await)
            }
            _ => None,
        };
        Observation {
            at,
            customer: sighting,
            listed,
        }
    }
}

/// Whether one of the two answers was a refused token.
fn token_refused(seen: &Observation) -> bool {
    let refused = |failure: &UpstreamFailure| failure.class == FailureClass::Credentials;
    seen.customer.as_ref().is_err_and(refused)
        || matches!(&seen.listed, Some(Err(failure)) if refused(failure))
}

#[async_trait]
impl PartnerCenter for PartnerCenterClient {
    async fn snapshot(&self, customer: CustomerId, call: &Call) -> Snapshot {
        snapshot::take(&self.api, &self.models, customer, call).await
    }

    async fn subscription(
        &self,
        customer: CustomerId,
        id: &ResourceId,
        call: &Call,
    ) -> Result<SubscriptionReading, UpstreamFailure> {
        subscriptions::read(&self.api, customer, id, call).await
    }

    async fn change_subscription(
        &self,
        customer: CustomerId,
        reading: &SubscriptionReading,
        change: &SubscriptionChange,
        call: &Call,
        gate: Arc<dyn SendGate>,
    ) -> Result<ChangeableFields, NotChanged> {
        subscriptions::change(&self.api, customer, reading, change, call, gate).await
    }

    async fn remove_relationship(
        &self,
        customer: CustomerId,
        call: &Call,
        gate: Arc<dyn SendGate>,
    ) -> Result<(), NotChanged> {
        customers::remove_relationship(&self.api, customer, call, gate).await
    }

    async fn observe_removal(&self, customer: CustomerId, name: &str, call: &Call) -> Observation {
        let unreadable = |failure| Observation {
            at: self.api.now(),
            customer: Err(failure),
            listed: None,
        };
        let tokens = self.api.stack.tokens();
        let token = match tokens.token().await {
            Ok(token) => token,
            Err(failure) => return unreadable(failure),
        };
        let seen = self.look(customer, name, &token, call).await;
        if !token_refused(&seen) {
            return seen;
        }
        // Both answers again: they count only if one and the same token brought them.
        match tokens.replace(&token).await {
            Ok(newer) => self.look(customer, name, &newer, call).await,
            Err(_) => seen,
        }
    }

    async fn probe_subscriptions(
        &self,
        customer: CustomerId,
        call: &Call,
    ) -> Result<(), UpstreamFailure> {
        subscriptions::list(&self.api, customer, call)
            .await
            .map(|_| ())
    }

    async fn probe_support_contact(
        &self,
        customer: CustomerId,
        subscription: &ResourceId,
        call: &Call,
    ) -> Result<(), UpstreamFailure> {
        subscriptions::support_contact(&self.api, customer, subscription, call).await
    }

    async fn audit(
        &self,
        customer: CustomerId,
        since: Time,
        call: &Call,
    ) -> Result<Vec<AuditRecord>, UpstreamFailure> {
        audit::since(&self.api, customer, since, call).await
    }

    async fn relationship_request_link(&self, call: &Call) -> Result<String, UpstreamFailure> {
        customers::relationship_request_link(&self.api, call).await
    }
}
