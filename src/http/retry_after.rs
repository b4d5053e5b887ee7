//! `Retry-After`: seconds or an HTTP date.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Longest wait taken at its word; a server that asks for more is asked again after this.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long the answer asks us to wait, seen from `now`; `None` when it does not say or cannot be read.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers
        .get(http::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", text.parse().unwrap());
        retry_after(&headers, "2026-05-04T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(read("57"), Some(Duration::from_secs(57)));
        assert_eq!(
            read("Mon, 04 May 2026 12:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
    }

    #[test]
    fn a_date_in_the_past_is_no_wait_and_a_wild_one_is_cut() {
        assert_eq!(read("Mon, 04 May 2026 11:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("99999999"), Some(LONGEST));
    }

    #[test]
    fn what_is_neither_is_ignored() {
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), Timestamp::UNIX_EPOCH), None);
    }
}
