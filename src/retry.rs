//! The retry rule: which failures another try may mend, and how long to wait for it. Pure.

use std::time::{Duration, SystemTime};

use oauth2::http::{HeaderMap, HeaderName, header};

use crate::error::Error;

/// Statuses that speak of the moment, not of the request (G-28).
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// `Retry-After`, as seconds or as a date (RFC 9110 section 10.2.3). The date is compared with the answer's own `Date`, so
/// that this machine's clock may be wrong; one that has passed means at once.
pub(crate) fn after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (until, now) = (date(headers, &header::RETRY_AFTER)?, date(headers, &header::DATE)?);
    Some(until.duration_since(now).unwrap_or_default())
}

/// A header that is a date (RFC 9110 section 5.6.7).
pub(crate) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok()
}

/// How long to wait before the next try; `None` for a failure that another try will not mend, whose request may
/// have been acted on, or whose server asks for more patience than a person has.
pub(crate) fn wait(error: &Error, delay: Duration) -> Option<Duration> {
    match error {
        Error::ServerFailed { retry_after: Some(asked), .. } => (*asked <= MAX_RETRY_AFTER).then_some(*asked),
        Error::ServerFailed { .. } | Error::Unreachable { .. } => Some(jittered(delay)),
        _ => None,
    }
}

/// Plus or minus ten percent, so that many processes do not come back in step.
fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(rand::random_range(0.9..1.1))
}

/// Tries in all.
pub(crate) const TRIES: u32 = 3;
/// Before the second try; the third waits twice as long.
pub(crate) const FIRST_DELAY: Duration = Duration::from_millis(500);
/// A try is not begun with less time left: longer than connecting may take, so that a request that never left is not taken
/// for one whose answer got lost.
pub(crate) const SHORTEST_TRY: Duration = Duration::from_secs(6);
/// A person waits this long for a token, not longer.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::bad_answer;

    fn failed(retry_after: Option<u64>) -> Error {
        Error::ServerFailed { host: "h".to_owned(), status: 503, retry_after: retry_after.map(Duration::from_secs) }
    }

    fn asked(retry_after: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, retry_after.parse().expect("a header"));
        date.map(|date| headers.insert(header::DATE, date.parse().expect("a header")));
        after(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn only_failures_of_the_moment_are_tried_again() {
        assert!(wait(&failed(None), FIRST_DELAY).is_some());
        let lost = Error::AnswerLost { host: "h".to_owned(), problem: String::new() };
        assert_eq!(wait(&lost, FIRST_DELAY), None);
        assert_eq!(wait(&bad_answer("h", "x"), FIRST_DELAY), None);
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_transient(status), "{status}");
        }
        for status in [200, 301, 400, 401, 403, 404, 405, 409, 410, 413, 422, 501] {
            assert!(!is_transient(status), "{status}");
        }
    }

    #[test]
    fn the_server_is_waited_for_as_long_as_it_asks_unless_a_person_would_not() {
        assert_eq!(wait(&failed(Some(2)), FIRST_DELAY), Some(Duration::from_secs(2)));
        assert_eq!(wait(&failed(Some(5)), FIRST_DELAY), Some(Duration::from_secs(5)));
        assert_eq!(wait(&failed(Some(6)), FIRST_DELAY), None);
    }

    #[test]
    fn many_processes_do_not_come_back_in_step() {
        let waits: Vec<Duration> = (0..100).filter_map(|_| wait(&failed(None), FIRST_DELAY)).collect();
        let bounds = FIRST_DELAY.mul_f64(0.9)..=FIRST_DELAY.mul_f64(1.1);
        assert!(waits.len() == 100 && waits.iter().all(|wait| bounds.contains(wait)));
        let spread = *waits.iter().max().expect("some") - *waits.iter().min().expect("some");
        assert!(spread > FIRST_DELAY / 20, "a hundred waits within {spread:?}");
    }

    #[test]
    fn retry_after_is_a_number_or_a_date_by_the_servers_own_clock() {
        let now = Some("Wed, 25 Nov 2026 02:00:00 GMT");
        assert_eq!(asked("3", None), Some(3));
        assert_eq!(asked(" 3 ", now), Some(3));
        assert_eq!(asked("Wed, 25 Nov 2026 02:00:04 GMT", now), Some(4));
        assert_eq!(asked("Wed, 25 Nov 2026 01:00:00 GMT", now), Some(0), "a moment that has passed");
        for nonsense in ["Wed, 25 Nov 2026 02:00:04 GMT", "soon", "-1", ""] {
            assert_eq!(asked(nonsense, None), None, "{nonsense}");
        }
    }
}
