//! One HTTP/1.1 request head, read with limits and judged before anything looks at its target; and the answers.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use tiny_http::{HTTPVersion, Header, Response};

use crate::login::pages::Page;

/// A GET navigation to our own address, as far as its head can tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Path and query.
    pub(crate) target: String,
}

/// A request that does not get as far as its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Answer with this status.
    With(u16),
    /// The connection ended or went on for too long without a head: nothing to answer.
    Silent,
}

/// Reads a head of at most [`MAX_HEAD`] bytes until `deadline` (L-11).
pub(crate) fn read(stream: &mut TcpStream, authority: &str, deadline: Instant) -> Result<Head, Refused> {
    let mut head = Vec::with_capacity(CHUNK);
    let mut chunk = [0; CHUNK];
    while !is_complete(&head) {
        if head.len() >= MAX_HEAD {
            return Err(Refused::With(431));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(Refused::Silent);
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return Err(Refused::Silent),
            Ok(count) => head.extend_from_slice(&chunk[..count]),
        }
    }
    parse(&head, authority)
}

/// Looks at the last chunk and the three bytes before it only, so that a dripping sender costs little.
fn is_complete(head: &[u8]) -> bool {
    let recent = &head[head.len().saturating_sub(CHUNK + 3)..];
    recent.windows(4).any(|end| end == b"\r\n\r\n")
}

/// Judges a head: method, version, `Host`, and whether it is a navigation at all (L-4, L-5, L-10).
pub(crate) fn parse(head: &[u8], authority: &str) -> Result<Head, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refused::With(431)),
        _ => return Err(Refused::With(400)),
    }
    let values = |name: &str| -> Vec<&[u8]> {
        request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
            .collect()
    };
    let target = request.path.unwrap_or_default();
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refused::With(400));
    }
    if values("host") != [authority.as_bytes()] {
        return Err(Refused::With(421));
    }
    if request.method != Some("GET") {
        return Err(Refused::With(405));
    }
    if !values("transfer-encoding").is_empty() || values("content-length").iter().any(|length| *length != b"0") {
        return Err(Refused::With(400));
    }
    if !is_navigation(&values) {
        return Err(Refused::With(403));
    }
    Ok(Head { target: target.to_owned() })
}

/// Browsers say what a request is for (Fetch Metadata): a picture, a script's fetch or a prefetch is no sign-in.
/// Where nothing is said, the state decides alone.
fn is_navigation<'a>(values: &dyn Fn(&str) -> Vec<&'a [u8]>) -> bool {
    let only = |name: &str, allowed: &[u8]| values(name).iter().all(|value| *value == allowed);
    let prefetch = |name: &str| values(name).iter().any(|value| value.starts_with(b"prefetch"));
    only("sec-fetch-mode", b"navigate")
        && only("sec-fetch-dest", b"document")
        && !prefetch("sec-purpose")
        && !prefetch("purpose")
}

/// Sends a page and hangs up.
pub(crate) fn respond(stream: &mut TcpStream, page: &Page) -> io::Result<()> {
    let allow = (page.status == 405).then(|| ("Allow", "GET".to_owned()));
    answer(stream, page, allow)
}

/// Sends the browser on with a GET to a path of our own (A-7: 303).
pub(crate) fn redirect(stream: &mut TcpStream, path: &str) -> io::Result<()> {
    let empty = Page { status: 303, body: String::new() };
    answer(stream, &empty, Some(("Location", path.to_owned())))
}

fn answer(stream: &mut TcpStream, page: &Page, more: Option<(&'static str, String)>) -> io::Result<()> {
    let headers = page.headers().into_iter().chain(more).chain([("Server", "gauth".to_owned())]);
    let headers = headers.filter_map(|(name, value)| Header::from_bytes(name, value).ok()).collect();
    let body = page.body.as_bytes();
    let response = Response::new(page.status.into(), headers, body, Some(body.len()), None);
    let mut answer = Vec::new();
    // HTTP/1.0, so that nobody expects the connection to stay.
    response.raw_print(&mut answer, HTTPVersion(1, 0), &[], false, None)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    stream.write_all(&answer)?;
    hang_up(stream)
}

/// Closing with unread bytes would reset the connection and could take the answer with it: read on a little.
fn hang_up(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    let mut rest = [0; 4096];
    for _ in 0..MAX_DRAIN_READS {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut rest)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Codes are at most 256 bytes at Google (G-27) and a few KiB elsewhere; cookies of the same host come along.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
const CHUNK: usize = 2048;
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
const MAX_DRAIN_READS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "127.0.0.1:5555";

    fn judge(head: &str) -> Result<Head, Refused> {
        parse(head.as_bytes(), OURS)
    }

    fn with(lines: &str) -> Result<Head, Refused> {
        judge(&format!("GET /?code=c HTTP/1.1\r\nHost: {OURS}\r\n{lines}\r\n"))
    }

    #[test]
    fn a_browsers_navigation_is_let_through() {
        let head = with("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site\r\n");
        assert_eq!(head, Ok(Head { target: "/?code=c".to_owned() }));
        assert!(with("").is_ok());
    }

    #[test]
    fn a_host_that_is_not_exactly_ours_is_turned_away() {
        for host in [
            "Host: evil.example\r\n",
            "Host: localhost:5555\r\n",
            "Host: 127.0.0.1\r\n",
            "",
            "Host: 127.0.0.1:5555\r\nHost: 127.0.0.1:5555\r\n",
            "Host: 127.0.0.1:5555.evil.example\r\n",
        ] {
            assert_eq!(judge(&format!("GET / HTTP/1.1\r\n{host}\r\n")), Err(Refused::With(421)), "{host}");
        }
    }

    #[test]
    fn an_absolute_target_or_one_with_strange_bytes_is_turned_away() {
        for target in ["http://127.0.0.1:5555/", "*", "evil", "/\u{e4}"] {
            assert_eq!(
                judge(&format!("GET {target} HTTP/1.1\r\nHost: {OURS}\r\n\r\n")),
                Err(Refused::With(400)),
                "{target}"
            );
        }
    }

    #[test]
    fn only_get_is_allowed() {
        for method in ["HEAD", "POST", "OPTIONS", "PUT", "DELETE", "TRACE", "PATCH"] {
            assert_eq!(
                judge(&format!("{method} / HTTP/1.1\r\nHost: {OURS}\r\n\r\n")),
                Err(Refused::With(405)),
                "{method}"
            );
        }
    }

    #[test]
    fn what_is_no_navigation_is_turned_away() {
        for line in [
            "Sec-Fetch-Mode: no-cors",
            "Sec-Fetch-Mode: cors",
            "Sec-Fetch-Dest: image",
            "Sec-Fetch-Dest: iframe",
            "Sec-Purpose: prefetch",
            "Sec-Purpose: prefetch;prerender",
            "Purpose: prefetch",
        ] {
            assert_eq!(with(&format!("{line}\r\n")), Err(Refused::With(403)), "{line}");
        }
    }

    #[test]
    fn bodies_are_turned_away_unread() {
        for line in ["Transfer-Encoding: chunked", "Content-Length: 5", "Content-Length: 99999999999999999999"] {
            assert_eq!(with(&format!("{line}\r\n")), Err(Refused::With(400)), "{line}");
        }
    }

    #[test]
    fn too_many_headers_and_folded_or_broken_lines_are_turned_away() {
        assert_eq!(with(&"X: y\r\n".repeat(80)), Err(Refused::With(431)));
        for lines in ["X: a\r\n b\r\n", "no colon\r\n", "X: a\0b\r\n"] {
            assert_eq!(with(lines), Err(Refused::With(400)), "{lines:?}");
        }
    }
}
