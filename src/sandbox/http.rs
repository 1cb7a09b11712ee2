//! HTTP/1.1 on one connection: reads one request, writes one answer, closes.
//!
//! By hand, because a fault has to be able to break what an HTTP library guarantees: a length that lies, half an
//! answer, none at all. One request a connection keeps it simple and lets a closed connection mean something.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::message::{Delivery, Request, Response};
use super::stop::Stop;

/// What came over a connection.
pub(super) enum Incoming {
    /// A request.
    Complete(Request),
    /// As much of a request as could be read, and the status that says why not more.
    Broken(Request, u16),
    /// Nothing: the browser opened a spare connection, or went away.
    Silent,
}

/// Reads one request, never more than the limits below.
pub(super) fn read(stream: &TcpStream) -> Incoming {
    if stream.set_read_timeout(Some(READ_TIMEOUT)).is_err() {
        return Incoming::Silent;
    }
    let mut reader = BufReader::new(stream);
    let head = match read_head(&mut reader) {
        Ok(head) => head,
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Incoming::Broken(Request::default(), 431);
        }
        Err(_) => return Incoming::Silent,
    };
    let Some(mut request) = parse_head(&head) else { return Incoming::Broken(Request::default(), 400) };
    let length = match body_length(&request) {
        Ok(length) => length,
        Err(status) => return Incoming::Broken(request, status),
    };
    let mut body = vec![0; length];
    match reader.read_exact(&mut body) {
        Ok(()) => request.body = body,
        Err(_) => return Incoming::Broken(request, 400),
    }
    Incoming::Complete(request)
}

/// The lines up to the empty one; `InvalidData` if they do not end in time or are not text.
fn read_head(reader: &mut impl io::BufRead) -> io::Result<String> {
    let mut limited = reader.take(HEAD_LIMIT);
    let mut head = String::new();
    loop {
        let line = limited.read_line(&mut head)?;
        if head.ends_with("\r\n\r\n") {
            return Ok(head);
        }
        if line == 0 {
            let is_full = limited.limit() == 0;
            return Err(if is_full { ErrorKind::InvalidData } else { ErrorKind::UnexpectedEof }.into());
        }
    }
}

/// RFC 9112 sections 3 and 5: origin-form targets only, no folded lines, no space before a colon.
fn parse_head(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let mut request_line = lines.next()?.split(' ');
    let (method, target, version) = (request_line.next()?, request_line.next()?, request_line.next()?);
    let is_http = matches!(version, "HTTP/1.1" | "HTTP/1.0") && request_line.next().is_none();
    if !is_http || !target.starts_with('/') {
        return None;
    }
    let headers: Option<Vec<_>> = lines.map(parse_header).collect();
    Some(Request { method: method.into(), headers: headers?, ..Request::get(target) })
}

fn parse_header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| (name.to_owned(), value.trim().to_owned()))
}

/// The declared length, if it is one and small; chunked bodies are not read (411).
fn body_length(request: &Request) -> Result<usize, u16> {
    if request.header("Transfer-Encoding").is_some() {
        return Err(411);
    }
    let mut lengths = request.headers_named("Content-Length");
    let Some(length) = lengths.next() else { return Ok(0) };
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit()) && lengths.next().is_none();
    match length.parse() {
        Ok(length) if is_number && length <= BODY_LIMIT => Ok(length),
        _ if is_number => Err(413),
        _ => Err(400),
    }
}

/// Writes an answer the way it is to travel, then closes.
///
/// # Errors
///
/// If the other side is gone, or `stop` came while waiting.
pub(super) fn write(mut stream: &TcpStream, response: &Response, stop: &Stop) -> io::Result<()> {
    stream.set_write_timeout(Some(READ_TIMEOUT))?;
    let head = head(response);
    match response.delivery {
        Delivery::Whole => stream.write_all(&[head.as_bytes(), &response.body].concat())?,
        Delivery::Slow(wait) => {
            stop.wait(wait)?;
            stream.write_all(&[head.as_bytes(), &response.body].concat())?;
        }
        Delivery::Hang(wait) => stop.wait(wait)?,
        Delivery::Drip(pause) => drip(stream, &[head.as_bytes(), &response.body].concat(), pause, stop)?,
        Delivery::Truncated => {
            let half = &response.body[..response.body.len() / 2];
            stream.write_all(&[head.as_bytes(), half].concat())?;
        }
        Delivery::Lost => {}
    }
    finish(stream)
}

fn drip(mut stream: &TcpStream, bytes: &[u8], pause: Duration, stop: &Stop) -> io::Result<()> {
    stream.set_nodelay(true)?;
    for byte in bytes {
        stream.write_all(&[*byte])?;
        stop.wait(pause)?;
    }
    Ok(())
}

/// A socket closed with bytes still unread resets, and a reset overtakes the answer on its way.
fn finish(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LINGER))?;
    io::copy(&mut stream.take(BODY_LIMIT as u64), &mut io::sink()).map(|_| ())
}

fn head(response: &Response) -> String {
    let status = response.status;
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in &response.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head + &format!("Content-Length: {}\r\nConnection: close\r\n\r\n", response.body.len())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

const HEAD_LIMIT: u64 = 16 << 10;
const BODY_LIMIT: usize = 64 << 10;
/// A browser's spare connection says nothing for long; a thread waits for it.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const LINGER: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_strictly() {
        let request = parse_head("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!((request.path.as_str(), request.query.as_str(), request.header("host")), ("/a", "b=c", Some("x")));
        for head in ["GET http://x/ HTTP/1.1", "GET / HTTP/2", "GET /", "GET / HTTP/1.1\r\nA : b", "G / x HTTP/1.1"] {
            assert!(parse_head(head).is_none(), "{head}");
        }
    }

    #[test]
    fn a_giant_length_is_refused_before_anything_is_allocated() {
        let with_length = |length: &str| Request::default().with_header("Content-Length", length);
        assert_eq!(body_length(&with_length("65536")), Ok(65536));
        assert_eq!(body_length(&with_length("65537")), Err(413));
        assert_eq!(body_length(&with_length("99999999999999999999999")), Err(413));
        assert_eq!(body_length(&with_length("+1")), Err(400));
        assert_eq!(body_length(&Request::default().with_header("Transfer-Encoding", "chunked")), Err(411));
    }

    #[test]
    fn a_head_without_an_end_is_refused() {
        let endless = "x".repeat(20 << 10);
        let error = read_head(&mut endless.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
