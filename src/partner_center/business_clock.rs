//! Business clock of a partner on a simulator: system time plus an offset that the simulator's control
//! API tells.
//!
//! `GET <url>` answers `{"now": …, "offset_micros": n}`; with `?changed_from=<n>&wait_seconds=20` it
//! answers as soon as the offset is another than `n`, or after the wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use url::Url;

use super::settings::is_loopback;
use crate::application::clock::Clock;
use crate::domain::time::{Time, to_micros};

/// How long one question may wait for a change, in seconds.
const WAIT: u64 = 20;
/// Pause after a question that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a business clock cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum BusinessClockError {
    /// A clock that is not this machine's own could move every due time of the service.
    #[error("business_clock: {0} is not on loopback")]
    NotLoopback(Url),
    /// It cannot be read.
    #[error("business_clock: cannot read {url}: {why}")]
    Unreadable {
        /// Where.
        url: Url,
        /// Why.
        why: String,
    },
}

#[derive(Deserialize)]
struct Reading {
    offset_micros: i64,
}

#[derive(Debug, Default)]
struct Shared {
    offset: AtomicI64,
    jumped: Notify,
}

/// System time plus a simulator's offset, followed in the background until dropped.
#[derive(Debug)]
pub struct BusinessClock {
    shared: Arc<Shared>,
    follower: JoinHandle<()>,
}

impl BusinessClock {
    /// Reads the clock once and goes on following it.
    ///
    /// # Errors
    /// [`BusinessClockError`]: not on loopback, or cannot be read.
    pub async fn connect(url: Url) -> Result<Self, BusinessClockError> {
        if !is_loopback(&url) {
            return Err(BusinessClockError::NotLoopback(url));
        }
        let unreadable = |why: String| BusinessClockError::Unreadable {
            url: url.clone(),
            why,
        };
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(WAIT + 10))
            .build()
            .map_err(|error| unreadable(error.to_string()))?;
        let offset = read(&client, url.clone()).await.map_err(unreadable)?;
        let shared = Arc::new(Shared::default());
        shared.offset.store(offset, Ordering::SeqCst);
        let follower = tokio::spawn(follow(client, url.clone(), Arc::clone(&shared)));
        Ok(Self { shared, follower })
    }
}

impl Drop for BusinessClock {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

async fn read(client: &reqwest::Client, url: Url) -> Result<i64, String> {
    let answer = client
        .get(url)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| error.without_url().to_string())?;
    let reading: Reading = answer
        .json()
        .await
        .map_err(|error| error.without_url().to_string())?;
    Ok(reading.offset_micros)
}

async fn follow(client: reqwest::Client, url: Url, shared: Arc<Shared>) {
    loop {
        let known = shared.offset.load(Ordering::SeqCst);
        let mut question = url.clone();
        question
            .query_pairs_mut()
            .append_pair("changed_from", &known.to_string())
            .append_pair("wait_seconds", &WAIT.to_string());
        let asked = tokio::time::Instant::now();
        match read(&client, question).await {
            Ok(offset) if offset != known => {
                shared.offset.store(offset, Ordering::SeqCst);
                tracing::info!(offset_micros = offset, "the business clock jumped");
                shared.jumped.notify_waiters();
            }
            // A clock that does not hold the question open is not asked without pause.
            Ok(_) => tokio::time::sleep(PAUSE.saturating_sub(asked.elapsed())).await,
            Err(error) => {
                tracing::warn!(%url, error, "cannot follow the business clock; it runs on as it was");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[async_trait]
impl Clock for BusinessClock {
    fn now(&self) -> Time {
        let offset = SignedDuration::from_micros(self.shared.offset.load(Ordering::SeqCst));
        let now = Timestamp::now();
        to_micros(now.checked_add(offset).unwrap_or(now))
    }

    async fn jumped(&self) {
        self.shared.jumped.notified().await;
    }
}
