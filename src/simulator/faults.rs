//! Faults: rules that make the simulator slow, forgetful, or wrong, for requests that match.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::seed;

/// One rule. Rules are looked at in order; every latency that matches adds up, of the other
/// faults the first that matches counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Which requests.
    #[serde(default, rename = "match")]
    pub matching: FaultMatch,
    /// Let so many matching requests pass first.
    #[serde(default)]
    pub skip: u64,
    /// Strike so many times; absent: always.
    #[serde(default)]
    pub count: Option<u64>,
    /// Strike with this probability (0 to 1), drawn from the scenario's seed.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What happens.
    pub fault: Fault,
}

/// Which requests a rule is about; what is absent matches everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultMatch {
    /// HTTP method.
    #[serde(default)]
    pub method: Option<String>,
    /// Path with `*` for anything, for instance `/v1/customers/*/subscriptions/*`.
    #[serde(default)]
    pub path: Option<String>,
    /// Endpoint name as in the journal.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Partner tenant.
    #[serde(default)]
    pub partner: Option<Uuid>,
}

/// What a rule does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Answer later, by a time drawn evenly between the two.
    Latency {
        /// Least delay in milliseconds.
        min_ms: u64,
        /// Greatest delay in milliseconds.
        max_ms: u64,
    },
    /// Refuse with this status, without doing anything.
    Status {
        /// HTTP status.
        status: u16,
        /// Error code; absent: no JSON body unless `body` is given.
        #[serde(default)]
        code: Option<u32>,
        /// Description beside the code.
        #[serde(default)]
        description: Option<String>,
        /// A body to send as it is.
        #[serde(default)]
        body: Option<Value>,
        /// Seconds for a `Retry-After` header.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// 429 in the gateway's shape.
    Throttle {
        /// Seconds named in `Retry-After`.
        retry_after_seconds: u64,
    },
    /// A hidden quota: so many matching requests per partner and minute, then 429 until the
    /// minute (of real time) is over.
    Quota {
        /// Requests allowed per minute.
        per_minute: u32,
    },
    /// Reset the connection without doing anything.
    ResetBefore,
    /// Do it, then reset the connection instead of answering.
    AnswerLost,
    /// Do it, then cut the body in the middle and close the connection.
    CutBody,
    /// Do it, then announce a longer body than is sent.
    WrongContentLength,
    /// Answer 200 with an HTML page, without doing anything.
    Html,
    /// Answer 302 to another place, without doing anything.
    Redirect {
        /// Where to.
        location: String,
    },
    /// Do it, but let the effect of a change come later, and answer 202.
    DelayedEffect {
        /// Seconds on the simulator's clock.
        seconds: u32,
    },
    /// Do it; a removal shows only after so long.
    SlowPropagation {
        /// Seconds on the simulator's clock.
        seconds: u32,
    },
    /// Refuse the token: 401 with code 800001.
    InvalidToken,
    /// Drop every token issued so far, then refuse: 401 with code 800001.
    ExpireTokens,
    /// Refuse for want of multi-factor authentication: 401 with code 900421.
    MfaRefused,
}

impl Fault {
    /// Name in the journal.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Status { .. } => "status",
            Self::Throttle { .. } => "throttle",
            Self::Quota { .. } => "quota",
            Self::ResetBefore => "reset_before",
            Self::AnswerLost => "answer_lost",
            Self::CutBody => "cut_body",
            Self::WrongContentLength => "wrong_content_length",
            Self::Html => "html",
            Self::Redirect { .. } => "redirect",
            Self::DelayedEffect { .. } => "delayed_effect",
            Self::SlowPropagation { .. } => "slow_propagation",
            Self::InvalidToken => "invalid_token",
            Self::ExpireTokens => "expire_tokens",
            Self::MfaRefused => "mfa_refused",
        }
    }
}

/// What the rules decided about one request.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) latency: Duration,
    pub(super) fault: Option<Fault>,
    /// For a quota that is used up: seconds until it opens again.
    pub(super) quota_closed: Option<u64>,
}

/// The rules in force and how often each has been looked at.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<(FaultRule, u64)>,
    quotas: HashMap<(usize, Uuid), (i64, u32)>,
}

impl Faults {
    /// Adds rules behind those in force.
    pub(super) fn add(&mut self, rules: Vec<FaultRule>) {
        self.rules.extend(rules.into_iter().map(|r| (r, 0)));
    }

    /// Removes all rules.
    pub(super) fn clear(&mut self) {
        self.rules.clear();
        self.quotas.clear();
    }

    /// The rules in force with the number of requests that have matched each.
    pub(super) fn list(&self) -> Vec<(FaultRule, u64)> {
        self.rules.clone()
    }

    /// Decides about one request and counts it.
    pub(super) fn judge(
        &mut self,
        seed: u64,
        method: &str,
        path: &str,
        endpoint: &str,
        partner: Option<Uuid>,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        for (index, (rule, seen)) in self.rules.iter_mut().enumerate() {
            if !rule.matching.fits(method, path, endpoint, partner) {
                continue;
            }
            if verdict.fault.is_some() && !matches!(rule.fault, Fault::Latency { .. }) {
                continue;
            }
            *seen += 1;
            let strike =
                *seen > rule.skip && rule.count.is_none_or(|count| *seen <= rule.skip + count);
            let draw =
                |salt: &str| seed::number(seed, &format!("fault/{index}/{seen}/{salt}"), 1_000_000);
            if !strike
                || rule
                    .probability
                    .is_some_and(|p| draw("chance") as f64 >= p * 1_000_000.0)
            {
                continue;
            }
            match &rule.fault {
                Fault::Latency { min_ms, max_ms } => {
                    let spread = max_ms.saturating_sub(*min_ms) + 1;
                    verdict.latency += Duration::from_millis(min_ms + draw("latency") % spread);
                }
                Fault::Quota { per_minute } => {
                    let now = Timestamp::now().as_second();
                    let key = (index, partner.unwrap_or_default());
                    let (window, used) = self.quotas.entry(key).or_insert((now, 0));
                    if now - *window >= 60 {
                        (*window, *used) = (now, 0);
                    }
                    *used += 1;
                    if *used > *per_minute {
                        verdict.quota_closed = Some((*window + 60 - now).max(1).unsigned_abs());
                        verdict.fault = Some(rule.fault.clone());
                    }
                }
                fault => verdict.fault = Some(fault.clone()),
            }
        }
        verdict
    }
}

impl FaultMatch {
    fn fits(&self, method: &str, path: &str, endpoint: &str, partner: Option<Uuid>) -> bool {
        self.method
            .as_deref()
            .is_none_or(|m| m.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|p| glob(p, path))
            && self.endpoint.as_deref().is_none_or(|e| e == endpoint)
            && self.partner.is_none_or(|p| Some(p) == partner)
    }
}

/// Whether `text` fits a pattern in which `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn globs_match_whole_paths() {
        assert!(glob("/v1/customers/*", "/v1/customers/a/b"));
        assert!(glob("*/subscriptions/*", "/v1/customers/a/subscriptions/b"));
        assert!(glob("/v1/x", "/v1/x"));
        assert!(!glob("/v1/x", "/v1/xy"));
        assert!(!glob("*/addons", "/v1/addons/y"));
    }

    #[test]
    fn a_rule_strikes_after_its_skip_and_only_so_often() {
        let mut faults = Faults::default();
        faults.add(vec![
            serde_json::from_str(
                r#"{"match":{"method":"PATCH"},"skip":1,"count":2,"fault":{"kind":"answer_lost"}}"#,
            )
            .unwrap(),
        ]);
        let mut strikes = |method| faults.judge(1, method, "/v1/x", "x", None).fault.is_some();
        assert!(!strikes("GET"));
        assert_eq!(
            [
                strikes("PATCH"),
                strikes("PATCH"),
                strikes("PATCH"),
                strikes("PATCH")
            ],
            [false, true, true, false]
        );
    }
}
