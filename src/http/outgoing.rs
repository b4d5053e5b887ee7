//! A request on its way down the stack.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, Method};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::token::AccessToken;
use crate::application::upstream::{Priority, SendGate};
use crate::domain::ids::{CorrelationId, CustomerId};

/// Whether a request changes something upstream.
#[derive(Clone)]
pub enum Effect {
    /// Reads only: the stack may repeat it.
    Read,
    /// Changes something: sent at most once, and only if the gate says so.
    Change(Arc<dyn SendGate>),
}

impl Effect {
    /// Whether the request only reads.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Read)
    }
}

/// Which access token a request carries.
#[derive(Clone)]
pub enum TokenUse {
    /// None: the request fetches a token itself.
    None,
    /// The partner's current one, whatever its grant.
    Current,
    /// The partner's current one, which has to be app+user.
    AppUser,
    /// Exactly this one, never another: two answers that must not differ in their caller.
    Pinned(AccessToken),
}

/// A request on its way down the stack. Has no `Debug`: bodies may hold secrets.
#[derive(Clone)]
pub struct Outgoing {
    /// HTTP method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// The call without its ids, for logs and failures, e.g. `GET /v1/customers/{customer}`.
    pub endpoint: &'static str,
    /// Headers, all but the token and `MS-RequestId`.
    pub headers: HeaderMap,
    /// Body, if any.
    pub body: Option<Arc<[u8]>>,
    /// Whether it changes something.
    pub effect: Effect,
    /// Which token it carries.
    pub token: TokenUse,
    /// Whose customer's share of the limit it uses.
    pub customer: Option<CustomerId>,
    /// Whose turn it is.
    pub priority: Priority,
    /// When nobody wants the answer any more; the deadline layer fills it in when absent.
    pub deadline: Option<Instant>,
    /// `MS-RequestId`; the retry layer replaces it after an attempt that had an answer.
    pub request_id: Uuid,
    /// `MS-CorrelationId`.
    pub correlation: Option<CorrelationId>,
    sent: Arc<AtomicBool>,
}

impl Outgoing {
    /// A request without body; every other member can be set afterwards.
    pub fn new(method: Method, url: Url, endpoint: &'static str) -> Self {
        Self {
            method,
            url,
            endpoint,
            headers: HeaderMap::new(),
            body: None,
            effect: Effect::Read,
            token: TokenUse::Current,
            customer: None,
            priority: Priority::Background,
            deadline: None,
            request_id: Uuid::new_v4(),
            correlation: None,
            sent: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Notes that the transport is about to send it: from here on its outcome may be unknown.
    pub(super) fn mark_sent(&self) {
        self.sent.store(true, Ordering::SeqCst);
    }

    /// Takes [`Self::mark_sent`] back: no connection came about, so nothing left.
    pub(super) fn mark_not_sent(&self) {
        self.sent.store(false, Ordering::SeqCst);
    }

    /// Whether any attempt was handed to the network.
    pub(super) fn was_sent(&self) -> bool {
        self.sent.load(Ordering::SeqCst)
    }

    /// Time left until the deadline; `None` when there is none.
    pub(super) fn time_left(&self) -> Option<std::time::Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "Read",
            Self::Change(_) => "Change",
        })
    }
}
