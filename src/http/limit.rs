//! Limit: the layer that holds requests back until the limiter lets them go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::{Layer, Service, ServiceExt};

use super::answer::{Answer, CallError};
use super::limiter::{Book, Ended, Grant, Lane, Limits, Rates, Waiter};
use super::outgoing::Outgoing;
use super::retry_after::retry_after;
use crate::domain::failure::FailureClass;

/// Wait after a 429 that names none.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// The limiter of one partner, in real time.
#[derive(Debug, Clone)]
pub(super) struct Limiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    book: Mutex<Book>,
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        // The book stays consistent between any two statements that can panic: there are none.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go what may go, and sees to it that somebody looks again in time.
    fn pump(self: &Arc<Self>, lane: Lane) {
        let (granted, wake) = self.book().pump(lane, Instant::now());
        // Sent without the lock: a permit that nobody takes gives itself back.
        for (waiter, grant) in granted {
            let _ = waiter.send(Permit {
                limiter: Arc::clone(self),
                grant: Some(grant),
            });
        }
        if let Some(at) = wake
            && self.book().arm(lane, at)
        {
            let limiter: Weak<Self> = Arc::downgrade(self);
            tokio::spawn(async move {
                sleep_until(at).await;
                if let Some(limiter) = limiter.upgrade() {
                    limiter.book().disarm(lane, at);
                    limiter.pump(lane);
                }
            });
        }
    }
}

/// Leave to send one request. Dropped without a word it counts as "no answer".
#[derive(Debug)]
pub(super) struct Permit {
    limiter: Arc<Inner>,
    grant: Option<Grant>,
}

impl Permit {
    /// Says how the request ended.
    fn ended(mut self, how: Ended) {
        self.give_back(how);
    }

    fn give_back(&mut self, how: Ended) {
        if let Some(grant) = self.grant.take() {
            self.limiter.book().ended(&grant, how, Instant::now());
            self.limiter.pump(grant.lane);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back(Ended::NoAnswer);
    }
}

impl Limiter {
    /// A limiter that has seen nothing yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner {
            book: Mutex::new(Book::new(limits, Instant::now())),
        }))
    }

    /// Rates in force.
    pub(super) fn rates(&self) -> Rates {
        self.0.book().rates()
    }

    async fn permit(&self, request: &Outgoing) -> Result<Permit, CallError> {
        let lane = if request.effect.is_read() {
            Lane::Read
        } else {
            Lane::Write
        };
        let now = Instant::now();
        let closed = self.0.book().closed_for(lane, request.customer, now);
        if let (Some(wait), Some(deadline)) = (closed, request.deadline)
            && now + wait > deadline
        {
            return Err(throttled(request, wait));
        }
        let (waiter, permit): (Waiter, _) = oneshot::channel();
        self.0
            .book()
            .enqueue(lane, request.customer, request.priority, waiter);
        self.0.pump(lane);
        let outcome = match request.deadline {
            Some(deadline) => timeout_at(deadline, permit).await,
            None => Ok(permit.await),
        };
        match outcome {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                let now = Instant::now();
                let closed = self.0.book().closed_for(lane, request.customer, now);
                Err(match closed {
                    Some(wait) => throttled(request, wait),
                    None => CallError::not_sent(
                        request,
                        FailureClass::Unavailable,
                        "the deadline passed while the request waited its turn",
                    ),
                })
            }
        }
    }
}

fn throttled(request: &Outgoing, wait: Duration) -> CallError {
    CallError::not_sent(
        request,
        FailureClass::Throttled,
        format!(
            "Partner Center asked to be left alone for another {} s",
            wait.as_secs_f64().ceil()
        ),
    )
    .retry_after(wait)
}

/// Holds requests back until the limiter lets them go.
#[derive(Clone)]
pub(super) struct LimitLayer {
    pub(super) limiter: Limiter,
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit {
            inner,
            limiter: self.limiter.clone(),
        }
    }
}

/// See [`LimitLayer`].
#[derive(Clone)]
pub(super) struct Limit<S> {
    inner: S,
    limiter: Limiter,
}

impl<S> Service<Outgoing> for Limit<S>
where
    S: Service<Outgoing, Response = Answer, Error = CallError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Answer, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Outgoing) -> Self::Future {
        let inner = self.inner.clone();
        let limiter = self.limiter.clone();
        Box::pin(async move {
            let permit = limiter.permit(&request).await?;
            let outcome = inner.oneshot(request).await;
            permit.ended(match &outcome {
                Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => Ended::Throttled(
                    retry_after(&answer.headers, jiff::Timestamp::now()).unwrap_or(DEFAULT_WAIT),
                ),
                Ok(_) => Ended::Answered,
                Err(_) => Ended::NoAnswer,
            });
            outcome
        })
    }
}
