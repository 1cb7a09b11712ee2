//! Callbacks that are none: whatever other programs and web pages send to the port, the login goes on waiting, and the
//! right answer still gets through (requirements section 4; peers section 0).
#![cfg(feature = "cli")]

mod support;

use std::collections::HashSet;
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use gauth::sandbox::{Endpoint, Fault, Sandbox};
use support::{ALICE, Answer, Ran, Running, TestEnv, http, sandbox};
use url::{Url, form_urlencoded};

/// A login that waits, and the answer that will end it.
struct Waiting {
    env: TestEnv,
    sandbox: Sandbox,
    login: Running,
}

impl Waiting {
    fn new() -> Waiting {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let login = env.login(&sandbox, &["--json"]);
        Waiting { env, sandbox, login }
    }

    /// The target of the one right callback; the code is fresh.
    fn right_target(&self) -> String {
        let redirect = Url::parse(&self.sandbox.approve(self.login.url(), ALICE)).expect("a redirect");
        format!("/?{}", redirect.query().expect("a query"))
    }

    /// A request as raw text, in which HOST, STATE and ISS stand for the right ones.
    fn send(&self, request: &str) -> Answer {
        let issuer: String = form_urlencoded::byte_serialize(self.sandbox.issuer().as_bytes()).collect();
        let request = request.replace("HOST", &self.login.authority()).replace("STATE", &self.login.state());
        let request = request.replace("ISS", &issuer);
        let answer = http::answer_to(self.login.address(), request.as_bytes());
        answer.assert_strict_headers();
        assert!(!answer.body.contains(&self.login.state()), "nothing is reflected: {}", answer.body);
        answer
    }

    /// A navigation to a target.
    fn open(&self, target: &str) -> Answer {
        self.send(&http::navigation("HOST", target))
    }

    fn is_still_waiting(&mut self) -> bool {
        self.sandbox.count(Endpoint::Token) == 0 && self.login.is_running()
    }

    /// The right callback ends the login well: the flow was only waiting.
    fn ends_well(mut self) -> (TestEnv, Sandbox, Ran) {
        assert!(self.is_still_waiting());
        let redirect = self.sandbox.approve(self.login.url(), ALICE);
        self.login.visit(&redirect).assert_signed_in(ALICE);
        let ran = self.login.wait().succeeded();
        assert_eq!(ran.json()["email"], ALICE);
        assert_eq!(self.sandbox.count(Endpoint::Token), 1, "one exchange");
        (self.env, self.sandbox, ran)
    }
}

/// Peers, section 0, L-9.
#[test]
fn a_browser_that_asks_for_its_icon_first_does_no_harm() {
    let waiting = Waiting::new();
    assert_eq!(waiting.open("/favicon.ico").status, 404);
    waiting.ends_well();
}

/// Peers, section 0, L-9: Chrome and Safari connect ahead and may never use it.
#[test]
fn connections_that_are_opened_ahead_and_held_do_not_block() {
    let waiting = Waiting::new();
    let held: Vec<TcpStream> = (0..10).map(|_| http::connect(waiting.login.address()).expect("connected")).collect();
    waiting.ends_well();
    drop(held);
}

#[test]
fn connections_that_are_opened_and_closed_do_no_harm() {
    let waiting = Waiting::new();
    for _ in 0..20 {
        drop(http::connect(waiting.login.address()).expect("connected"));
    }
    let mut half = http::connect(waiting.login.address()).expect("connected");
    half.write_all(b"GET /?code=").expect("written");
    drop(half);
    waiting.ends_well();
}

/// L-5: with a code and with an error; a web page that knows no state cannot end a login.
#[test]
fn a_wrong_missing_or_repeated_state_is_turned_away() {
    let mut waiting = Waiting::new();
    for rest in ["code=c", "error=access_denied", "error=access_denied&error_description=x"] {
        for state in
            ["", "&state=", "&state=wrong", "&state=STATEx", "&state=STATE&state=STATE", "&state=x&state=STATE"]
        {
            assert_eq!(waiting.open(&format!("/?{rest}{state}")).status, 400, "{rest}{state}");
        }
    }
    assert!(waiting.is_still_waiting());
    waiting.ends_well();
}

/// no parameter may come twice, and there is one outcome.
#[test]
fn repeated_parameters_and_both_outcomes_are_turned_away() {
    let mut waiting = Waiting::new();
    for query in ["code=a&code=b", "error=a&error=b", "code=a&error=b", "", "code=", "code=a&iss=ISS"] {
        assert_eq!(waiting.open(&format!("/?state=STATE&iss=ISS&{query}")).status, 400, "{query}");
    }
    assert!(waiting.is_still_waiting());
    waiting.ends_well();
}

/// Peers, section 0, L-25: one constant page, whatever was asked.
#[test]
fn every_unknown_path_gives_the_same_page_and_leads_nowhere() {
    let waiting = Waiting::new();
    let mut bodies = HashSet::new();
    for path in ["/x", "/callback", "/signed-in/", "/signed-in/AAAA", "//", "/..%2f", "/%00", "/index.html", "/a/b/c"] {
        let answer = waiting.open(&format!("{path}?code=c&state=STATE"));
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("Location"), None, "{path}");
        bodies.insert(answer.body);
    }
    assert_eq!(bodies.len(), 1);
    let root = waiting.open("/");
    assert_eq!((root.status, root.header("Location")), (400, None), "nor does the root lead to the provider");
    waiting.ends_well();
}

/// L-13.
#[test]
fn nothing_of_a_request_is_in_any_answer() {
    let waiting = Waiting::new();
    let hostile = [
        "<script>alert(1)</script>",
        "%3Cscript%3Ealert(1)%3C/script%3E",
        "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
        "+ADw-script+AD4-alert(1)",
        "canary-7f3a",
        "%00canary-7f3a",
    ];
    for text in hostile {
        for target in [
            format!("/{text}"),
            format!("/?code={text}&state=wrong"),
            format!("/?error={text}&state=STATE&iss=ISS&code=x"),
        ] {
            let answer = waiting.open(&target);
            for bad in ["<script", "onerror", "alert(1)", "ADw-", "canary"] {
                assert!(!answer.body.contains(bad), "{target}: {}", answer.body);
            }
        }
    }
    waiting.ends_well();
}

/// L-13: the provider's own text on the failure page.
#[test]
fn what_the_provider_says_stays_text_on_the_failure_page() {
    let waiting = Waiting::new();
    let hostile = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>+ADw-script+AD4-\0";
    let query = [("error", hostile), ("error_description", hostile), ("state", &waiting.login.state())];
    let iss = [("iss", waiting.sandbox.issuer())];
    let url = Url::parse_with_params(waiting.login.redirect_uri().as_str(), query.iter().chain(&iss)).expect("a URL");
    let visit = waiting.login.visit(url.as_str());
    visit.assert_not_signed_in();
    for bad in ["<script", "<img", "+ADw-", "\0"] {
        assert!(!visit.page.body.contains(bad), "{bad:?}: {}", visit.page.body);
    }
    waiting.login.wait().failed_with(5);
}

/// L-5: a thousand tries by another program or page.
#[test]
fn a_thousand_bad_requests_change_nothing() {
    let waiting = Waiting::new();
    let requests = [
        http::navigation("HOST", "/?code=c&state=guess"),
        http::navigation("HOST", "/?error=access_denied"),
        http::navigation("evil.example", "/?code=c&state=STATE"),
        "POST /?code=c&state=STATE HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
    ];
    for request in requests.iter().cycle().take(1000) {
        let answer = waiting.send(request);
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    waiting.ends_well();
}

/// L-7: replays while the first one is being redeemed, and one that comes too late.
#[test]
fn the_answer_counts_once_however_often_it_comes() {
    let waiting = Waiting::new();
    waiting.sandbox.inject(Fault::Slow(Duration::from_secs(1)));
    let (address, state, target) = (waiting.login.address(), waiting.login.state(), waiting.right_target());
    let code = waiting.sandbox.issued()[0].value.clone();
    let answers = burst(address, &http::navigation(&waiting.login.authority(), &target), 50);
    for late in answers.iter().filter(|answer| answer.status != 303) {
        assert_eq!(late.status, 410);
        late.assert_strict_headers();
        assert!(!late.body.contains(&code) && !late.body.contains(&state), "{}", late.body);
    }
    assert!(answers.len() > 1, "some of the others were answered");
    waiting.login.wait().succeeded();
    assert_eq!(waiting.sandbox.count(Endpoint::Token), 1, "exactly one exchange");
    let too_late = TcpStream::connect(address).expect_err("nobody listens any more");
    assert_eq!(too_late.kind(), ErrorKind::ConnectionRefused);
}

/// L-11: making room for more connections must not hang up on the one whose request has been accepted. The program is
/// stopped while they arrive, so that it meets them all at once.
#[cfg(unix)]
#[test]
fn one_of_many_at_once_always_gets_the_result() {
    use rustix::process::Signal;
    for _ in 0..30 {
        let waiting = Waiting::new();
        let request = http::navigation(&waiting.login.authority(), &waiting.right_target());
        waiting.login.signal(Signal::STOP);
        let connect = |_| http::connect(waiting.login.address()).expect("a place in the queue");
        let mut streams: Vec<TcpStream> = (0..100).map(connect).collect();
        streams.iter_mut().for_each(|stream| stream.write_all(request.as_bytes()).expect("sent"));
        waiting.login.signal(Signal::CONT);
        let answers: Vec<Answer> =
            streams.into_iter().filter_map(|mut stream| http::read_answer(&mut stream)).collect();
        let places: Vec<&str> = answers.iter().filter_map(|answer| answer.header("Location")).collect();
        places.iter().for_each(|place| assert_eq!(waiting.login.get(place).status, 200));
        waiting.login.wait().succeeded();
        assert_eq!(places.len(), 1, "the login has succeeded, so one browser must have been told");
    }
}

/// The same request on many connections at the same time; the answers of those that got one.
fn burst(address: SocketAddr, request: &str, count: usize) -> Vec<Answer> {
    let start = Barrier::new(count);
    let send = || {
        start.wait();
        let answer = http::send(address, request.as_bytes()).ok().flatten()?;
        if let Some(location) = answer.header("Location") {
            let authority = address.to_string();
            assert_eq!(http::get(address, &authority, location).status, 200);
        }
        Some(answer)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(send)).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("an end")).collect()
    })
}

/// The result page is at an address that only the browser was told.
#[test]
fn nobody_else_can_find_the_result_page() {
    let waiting = Waiting::new();
    let first = waiting.login.get(&waiting.right_target());
    assert_eq!(first.status, 303);
    let location = first.header("Location").expect("a location").to_owned();
    let wrong = format!("{}x", location);
    assert_eq!(waiting.login.get(&wrong).status, 404, "the address cannot be guessed");
    let page = waiting.login.get(&location);
    assert!(page.body.contains(ALICE));
    waiting.login.wait().succeeded();
}

/// L-1: `bind` here asks to share the port, as a squatter would.
#[test]
fn nobody_else_can_listen_on_the_same_port() {
    let waiting = Waiting::new();
    let port = waiting.login.address().port();
    for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        let error = TcpListener::bind((address, port)).expect_err("the port is taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{address}");
    }
    waiting.ends_well();
}

/// N-7, on Linux: by the system's own table.
#[cfg(target_os = "linux")]
#[test]
fn only_the_loopback_address_is_listened_on() {
    let waiting = Waiting::new();
    let port = format!("{:04X}", waiting.login.address().port());
    let mut listening = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let rows = std::fs::read_to_string(table).unwrap_or_default();
        // sl, local address as HEX:PORT, remote address, state; 0A is LISTEN
        let rows = rows.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        let local = rows.filter(|row| row.get(3) == Some(&"0A")).filter_map(|row| row.get(1)?.split_once(':').map(own));
        listening.extend(local.filter(|(_, of)| *of == port).map(|(address, _)| address));
    }
    assert_eq!(listening, ["0100007F"], "127.0.0.1 in this machine's byte order and nothing else");
    waiting.ends_well();
}

#[cfg(target_os = "linux")]
fn own((address, port): (&str, &str)) -> (String, String) {
    let loopback = if cfg!(target_endian = "little") { "0100007F" } else { "7F000001" };
    let address = if address == loopback { "0100007F" } else { address };
    (address.to_owned(), port.to_owned())
}
