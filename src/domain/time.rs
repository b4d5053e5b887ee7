//! Moments: microseconds in UTC, and what Partner Center writes instead of "no date".

use jiff::Timestamp;

/// A moment in UTC. Everything the service records is cut to whole microseconds.
pub type Time = Timestamp;

/// Cuts a moment to whole microseconds, the precision of the store.
pub fn to_micros(at: Time) -> Time {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// Reads a date as Partner Center writes it: RFC 3339 with up to seven fractional digits, `Z` or an
/// offset, now and then with blanks inside, sometimes without any zone (then UTC).
///
/// Years from 9999 on and before 1900 mean "no date" upstream (`9999-12-14`, `0001-01-01`), so they
/// give `Ok(None)`, as does an empty text.
///
/// # Errors
/// The text itself, when it is no date.
pub fn upstream_date(text: &str) -> Result<Option<Time>, String> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if compact.is_empty() {
        return Ok(None);
    }
    let year: i32 = compact
        .get(..4)
        .and_then(|y| y.parse().ok())
        .ok_or_else(|| text.to_owned())?;
    if !(1900..9999).contains(&year) {
        // Still has to look like a date: "9999 bottles" is a lie, not a missing date.
        let looks_like_a_date = compact
            .get(4..10)
            .is_some_and(|rest| rest.starts_with('-') && rest.as_bytes()[3] == b'-');
        return if looks_like_a_date {
            Ok(None)
        } else {
            Err(text.to_owned())
        };
    }
    if let Ok(at) = compact.parse::<Timestamp>() {
        return Ok(Some(to_micros(at)));
    }
    compact
        .parse::<jiff::civil::DateTime>()
        .and_then(|local| local.to_zoned(jiff::tz::TimeZone::UTC))
        .map(|zoned| Some(to_micros(zoned.timestamp())))
        .map_err(|_| text.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn upstream_dates_are_read_as_they_are_written() {
        let read = |text: &str| upstream_date(text).unwrap().unwrap().to_string();
        assert_eq!(
            read("2021-10-15T21:28:19.3058617Z"),
            "2021-10-15T21:28:19.305861Z"
        );
        assert_eq!(read("2021-10-15T21:28:19+02:00"), "2021-10-15T19:28:19Z");
        assert_eq!(read("2015-11-25T06: 41: 12Z"), "2015-11-25T06:41:12Z");
        assert_eq!(read("2015-11-25T06:41:12"), "2015-11-25T06:41:12Z");
        assert_eq!(read("2015-11-25"), "2015-11-25T00:00:00Z");
    }

    #[test]
    fn year_9999_and_year_1_are_no_dates() {
        for text in [
            "9999-12-14T00:00:00Z",
            "9999-12-31T23:59:59.9999999Z",
            "0001-01-01T00:00:00Z",
            "",
        ] {
            assert_eq!(upstream_date(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_said_to_be_none() {
        for text in ["soon", "2021-13-01T00:00:00Z", "20", "9999 bottles", "9999"] {
            assert_eq!(upstream_date(text), Err(text.to_owned()), "{text}");
        }
    }
}
