//! A browser's requests on a raw socket, and how the answers to them look.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use url::{Host, Url};

use super::process::DEADLINE;

/// One answer, as it came over the wire.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Answer> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        Some(Answer { status, headers, body: body.to_owned() })
    }

    /// The one header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} comes once");
        value
    }

    /// The headers that keep an answer inert and out of caches, histories and referrers (L-13, L-14).
    pub fn assert_strict_headers(&self) {
        for (name, value) in [
            ("Content-Type", "text/html; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
        ] {
            assert_eq!(self.header(name), Some(value), "{name} of {self:?}");
        }
        let policy = self.header("Content-Security-Policy").expect("a policy");
        for part in ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{part} is not in {policy:?}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        let opens_up = |name: &str| name.to_ascii_lowercase().starts_with("access-control");
        assert!(!self.headers.iter().any(|(name, _)| opens_up(name)), "no CORS header: {self:?}");
    }
}

/// A redirect URL that was opened, and the page at the end of the way.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The answer to the redirect URL itself.
    pub first: Answer,
    /// Where that sent the browser; empty if nowhere.
    pub location: String,
    /// What the person sees in the end.
    pub page: Answer,
}

impl Visit {
    /// Opens a URL and follows one redirect, as a browser does.
    pub fn to(url: &str) -> Visit {
        let url = Url::parse(url).unwrap_or_else(|_| panic!("the provider sent the browser to {url:?}"));
        let (address, authority) = (address_of(&url), authority_of(&url));
        let first = get(address, &authority, &target_of(&url));
        let location = first.header("Location").unwrap_or_default().to_owned();
        let page = match location.as_str() {
            "" => first.clone(),
            location => {
                let next = url.join(location).expect("a URL");
                assert_eq!(authority_of(&next), authority, "the browser stays on this machine (B-5)");
                get(address, &authority, &target_of(&next))
            }
        };
        Visit { first, location, page }
    }

    /// The page of a login that worked, at an address that shows nothing of it (L-14, L-15).
    pub fn assert_signed_in(&self, account: &str) {
        self.assert_ended_cleanly();
        assert_eq!(self.page.status, 200, "{}", self.page.body);
        assert!(self.page.body.contains("You are signed in"), "{}", self.page.body);
        assert!(self.page.body.contains(account), "{account} is not on {}", self.page.body);
    }

    /// The page of a login that did not.
    pub fn assert_not_signed_in(&self) {
        self.assert_ended_cleanly();
        assert_eq!(self.page.status, 400, "{}", self.page.body);
        assert!(self.page.body.contains("You are not signed in"), "{}", self.page.body);
        assert!(!self.page.body.contains("You are signed in"), "{}", self.page.body);
    }

    /// A 303 to an address without the code, and strict headers on both answers.
    fn assert_ended_cleanly(&self) {
        assert_eq!(self.first.status, 303, "{:?}", self.first);
        assert!(self.location.starts_with('/') && !self.location.contains(['?', '#']), "{}", self.location);
        assert_eq!(self.first.body, "");
        self.first.assert_strict_headers();
        self.page.assert_strict_headers();
    }
}

/// A navigation as browsers send it.
pub fn get(address: SocketAddr, authority: &str, target: &str) -> Answer {
    answer_to(address, navigation(authority, target).as_bytes())
}

/// The head of a navigation.
pub fn navigation(authority: &str, target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: keep-alive\r\n\
         Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html,*/*;q=0.8\r\n\
         Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
         Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n\r\n"
    )
}

/// Sends bytes; there must be an answer.
pub fn answer_to(address: SocketAddr, request: &[u8]) -> Answer {
    send(address, request).expect("a connection").expect("an answer")
}

/// Sends bytes and reads to the end; `None` if it hung up without an answer.
pub fn send(address: SocketAddr, request: &[u8]) -> io::Result<Option<Answer>> {
    let mut stream = connect(address)?;
    // Refused while still sending is an answer as well: it is read below.
    let _ = stream.write_all(request);
    Ok(read_answer(&mut stream))
}

/// A connection that cannot hang a test.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// What comes until the other side hangs up.
pub fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count) = stream.read(&mut chunk)
        && count > 0
    {
        bytes.extend_from_slice(&chunk[..count]);
    }
    Answer::parse(&bytes)
}

/// The `Host` for a URL.
pub fn authority_of(url: &Url) -> String {
    format!("{}:{}", url.host_str().expect("a host"), url.port_or_known_default().expect("a port"))
}

/// Where to connect for a URL on this machine; the name `localhost` by IPv4.
pub fn address_of(url: &Url) -> SocketAddr {
    let port = url.port_or_known_default().expect("a port");
    match url.host().expect("a host") {
        Host::Ipv4(address) => (address, port).into(),
        Host::Ipv6(address) => (address, port).into(),
        Host::Domain(name) => {
            assert_eq!(name, "localhost");
            (Ipv4Addr::LOCALHOST, port).into()
        }
    }
}

/// The same port on `[::1]`.
pub fn on_ipv6(address: SocketAddr) -> SocketAddr {
    (Ipv6Addr::LOCALHOST, address.port()).into()
}

fn target_of(url: &Url) -> String {
    url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}
