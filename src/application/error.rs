//! Why a use case did not do what was asked. Handlers turn this into a status in one place.

use crate::domain::blocker::Blocker;
use crate::domain::failure::UpstreamFailure;
use crate::domain::ids::{CustomerId, OffboardingId, PartnerAlias};
use crate::domain::offboarding::State;
use crate::domain::plan::PlanHash;

use super::store::StoreError;

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, e.g. `external_references[2].id`.
    pub field: String,
    /// What is wrong and what is wanted.
    pub description: String,
}

/// What is known of a relationship that a customer had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing shows that there was one.
    Nothing,
    /// Its removal is on record: an offboarding of ours, or Microsoft's audit.
    Removed,
    /// The audit could not be read.
    Unknown,
}

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks rules that need no look at anything; all of them at once.
    #[error("the request is invalid")]
    Invalid(Vec<Violation>),
    /// No partner of that name or tenant is configured, or none was named and there are several.
    #[error("no such partner is configured: {named}")]
    UnknownPartner {
        /// What the caller wrote.
        named: String,
        /// The aliases that are configured.
        known: Vec<PartnerAlias>,
    },
    /// The customer id is the partner's own tenant.
    #[error("the customer is the partner's own tenant")]
    OwnTenant,
    /// The page token is not one of ours, or belongs to another filter or caller.
    #[error("the page token is not valid here")]
    InvalidPageToken,
    /// The same caller used this request id for another request.
    #[error("the request id was used for another request")]
    RequestIdReused {
        /// The offboarding that the id started.
        existing: OffboardingId,
    },
    /// There is no such offboarding (for this caller).
    #[error("no such offboarding")]
    OffboardingNotFound,
    /// Upstream knows no relationship with the customer.
    #[error("the customer is not related to this partner")]
    CustomerNotRelated {
        /// Which.
        customer: CustomerId,
        /// Whether there was one.
        earlier: Earlier,
        /// Upstream's answer.
        answer: Box<UpstreamFailure>,
    },
    /// Blockers that the policy does not clear now.
    #[error("{} blockers stand in the way", .0.len())]
    Blocked(Vec<Blocker>),
    /// The plan is not the one that the caller agreed to.
    #[error("the plan changed")]
    PlanChanged {
        /// What the caller sent.
        expected: PlanHash,
        /// What it is now.
        actual: PlanHash,
    },
    /// Another offboarding of the same customer is unfinished.
    #[error("another offboarding of this customer is unfinished")]
    OffboardingInProgress {
        /// Which.
        existing: OffboardingId,
    },
    /// A removal stands that upstream has not refused: too late to cancel.
    #[error("the removal was sent already")]
    RemovalAlreadySent {
        /// Which offboarding.
        id: OffboardingId,
    },
    /// The offboarding has ended otherwise.
    #[error("the offboarding has ended")]
    OffboardingEnded {
        /// Which.
        id: OffboardingId,
        /// How.
        state: State,
    },
    /// Upstream did not answer as needed.
    #[error("Partner Center: {0}")]
    Upstream(Box<UpstreamFailure>),
    /// The caller's deadline passed.
    #[error("the deadline passed")]
    DeadlineExceeded,
    /// The store did not do it.
    #[error("store: {0}")]
    Store(StoreError),
}

impl From<UpstreamFailure> for Error {
    fn from(failure: UpstreamFailure) -> Self {
        Self::Upstream(Box::new(failure))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::OffboardingNotFound,
            other => Self::Store(other),
        }
    }
}
