//! `{:?}` of everything public that can hold a secret, filled with real ones, shows none (L-18).
#![cfg(feature = "cli")]

#[path = "support/canary.rs"]
mod canary;
#[path = "support/kept.rs"]
mod kept;
mod support;

use std::any::type_name;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use canary::{Kind, PLANTED, Secrets};
use gauth::client::{ClientKind, LoopbackRedirect};
use gauth::credential::Credential;
use gauth::http::Exchange;
use gauth::id_token::{Expected, KeySet, Unverified};
use gauth::lock::Lock;
use gauth::login::callback::{self, IssuerRule};
use gauth::login::loopback::LoopbackServer;
use gauth::login::pages::{NotSignedIn, not_signed_in};
use gauth::login::request::AuthorizationRequest;
use gauth::login::{InstalledAppFlow, ListenOptions, LoginOptions, SignedIn};
use gauth::rescue::RescueKey;
use gauth::sandbox::{
    Approval, Client, ClientAuth, Config, Delivery, Endpoint, Fault, IdTokenFault, Idp, Injection, IssParameter,
    IssuedKind, Request, Sandbox, Settings,
};
use gauth::store::file::FileStore;
use gauth::store::memory::MemoryStore;
use gauth::store::{SecretBytes, SecretStore as _, StoreKind, Unavailable};
use gauth::token::IdToken;
use gauth::vault::NewLogin;
use gauth::{
    Browser, ClientFile, Clock, Error, Http, HttpOptions, Interrupt, Provider, StoredUser, TokenEndpoint, TokenRequest,
};
use kept::{signed_in, vault, without_rotation};
use oauth2::CsrfToken;
use support::{ALICE, CLIENT, CLIENT_SECRET, TestEnv, Visit, sandbox};

/// Every word in the names of the types that were formatted, and in what came of it: types within types are there too.
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// All that was formatted, both ways.
#[derive(Default)]
struct Shown(Vec<(&'static str, String)>);

impl Shown {
    fn add<T: Debug + ?Sized>(&mut self, value: &T) {
        let text = format!("{value:?}\n{value:#?}");
        let words = [type_name::<T>(), &text].join(" ");
        let words = words.split(|c: char| !c.is_alphanumeric()).map(str::to_owned);
        SEEN.lock().expect("a lock").extend(words);
        self.0.push((type_name::<T>(), text));
    }

    fn assert_clean(&self, secrets: &Secrets) {
        for (name, text) in &self.0 {
            assert!(!text.is_empty());
            secrets.assert_absent(text, &[], &format!("the Debug of {name}"));
        }
    }
}

/// A login through the library: what it works with is shown on the way, and what came of it is given.
fn sign_in(endpoint: TokenEndpoint<'_>, sandbox: &Sandbox, shown: &mut Shown) -> SignedIn {
    let options = LoginOptions::default();
    shown.add(&options);
    shown.add(&endpoint);
    let flow = InstalledAppFlow::bind(endpoint, options).expect("a port");
    shown.add(&flow);
    let answer = sandbox.approve(flow.url().as_str(), ALICE);
    let browser = thread::spawn(move || Visit::to(&answer));
    let signed_in = flow.complete("a test", Ok).expect("a login");
    let _ = browser.join().expect("a browser");
    signed_in
}

#[test]
fn a_login_and_all_that_is_kept_of_it() {
    let (sandbox, env, mut shown) = (sandbox(), TestEnv::new(), Shown::default());
    let file = ClientFile::parse(&sandbox.client_secrets_json(CLIENT)).expect("a client file");
    let (http, clock) = (Http::default(), Clock::system());
    let provider = Provider::of_client_file(&file, &http).expect("a provider");
    let endpoint = TokenEndpoint { provider: &provider, client: &file.client, http: &http, clock: &clock };
    let signed_in = sign_in(endpoint, &sandbox, &mut shown);
    shown.add(&file);
    shown.add(&file.client);
    shown.add(&signed_in);
    shown.add(&signed_in.tokens);
    shown.add(&signed_in.claims);

    let vault = vault(&env, clock.clone());
    let new = NewLogin {
        provider: &provider,
        client: &file.client,
        project_id: None,
        client_file: None,
        redirect: None,
        store: StoreKind::Memory,
    };
    shown.add(&new);
    shown.add(&vault.keep("default", &new, signed_in).expect("kept"));
    let second = sign_in(endpoint, &sandbox, &mut shown);
    let kept = vault.keep("default", &new, second).expect("kept again");
    assert!(kept.replaced.is_some(), "with the old credential in it");
    shown.add(&kept);
    shown.add(&kept.profile);
    shown.add(&Credential::load(&*vault.memory, &kept.profile).expect("read").expect("found"));
    shown.add(&vault.accounts.load().expect("an index"));
    shown.add(&vault);
    shown.add(&http);

    let user = StoredUser::new(&vault, &http, "default");
    shown.add(&user);
    shown.add(&user.glance(&TokenRequest::default()).expect("a look"));
    shown.add(&user.glance(&TokenRequest { force: true, ..TokenRequest::default() }).expect("a look"));
    let served = user.token(&TokenRequest { force: true, ..TokenRequest::default() }).expect("a token");
    shown.add(&served.token);
    shown.add(&served);
    let credential = Credential::load(&*vault.memory, &kept.profile).expect("read").expect("found");
    shown.add(&endpoint.refresh(&credential.refresh_token, None));

    let secrets = Secrets::of(&sandbox);
    secrets.assert_has(&[Kind::AccessToken, Kind::RefreshToken, Kind::IdToken, Kind::Code, Kind::CodeVerifier]);
    secrets.assert_has(&[Kind::State, Kind::Nonce, Kind::ClientSecret]);
    shown.assert_clean(&secrets);
}

#[test]
fn the_words_of_the_protocol() {
    let (sandbox, mut shown) = (sandbox(), Shown::default());
    let env = signed_in(&sandbox); // for an ID token to read
    let file = ClientFile::parse(&sandbox.client_secrets_json(CLIENT)).expect("a client file");
    let provider = Provider::of_client_file(&file, &Http::default()).expect("a provider");
    let asked =
        AuthorizationRequest::new(&provider, &file.client, "http://127.0.0.1:1/", &LoginOptions::default().request);
    let asked = asked.expect("a request");
    sandbox.approve(asked.url().as_str(), ALICE);
    shown.add(&asked);

    let rule = IssuerRule { issuer: provider.issuer.clone(), is_promised: false };
    let state = CsrfToken::new(PLANTED.to_owned());
    shown.add(&state);
    shown.add(&callback::parse(&format!("/?code={PLANTED}&state={PLANTED}"), "/", &state, &rule));
    shown.add(&callback::parse("/?code=x&state=y", "/", &state, &rule));

    let issued = sandbox.issued().into_iter().find(|issued| issued.value.matches('.').count() == 2);
    let id_token = IdToken::new(issued.expect("an ID token").value);
    let unverified = Unverified::read(&id_token).expect("readable");
    let access_token = oauth2::AccessToken::new(PLANTED.to_owned());
    shown.add(&id_token);
    shown.add(&unverified);
    let expected = Expected {
        issuers: &[sandbox.issuer()],
        client_id: CLIENT,
        nonce: Some(PLANTED),
        access_token: Some(&access_token),
        now: 1,
    };
    shown.add(&unverified.check_claims(&expected));
    shown.add(&expected);
    // a provider that publishes its private key by mistake (V-17)
    let keys = format!(
        r#"{{"keys":[{{"kty":"oct","k":"{PLANTED}"}},{{"kty":"RSA","n":"AQAB","e":"AQAB","d":"{PLANTED}"}}]}}"#
    );
    shown.add(&serde_json::from_str::<KeySet>(&keys).expect("keys"));
    shown.assert_clean(&Secrets::of(&sandbox));
    drop(env);
}

#[test]
fn the_listener_and_the_answer_that_it_holds_open() {
    let mut shown = Shown::default();
    let server = LoopbackServer::bind(&ListenOptions::default()).expect("a port");
    shown.add(&server);
    let (authority, state) = (server.authority().to_owned(), CsrfToken::new(PLANTED.to_owned()));
    let browser = thread::spawn(move || {
        let mut stream = TcpStream::connect(&authority).expect("a connection");
        let head = format!("GET /?code={PLANTED}&state={PLANTED} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let rule = IssuerRule { issuer: "https://op.example".to_owned(), is_promised: false };
    let expectant = server.expect(&state, rule);
    shown.add(&expectant);
    shown.add(&expectant.paste_door());
    let (callback, responder) = expectant.wait(Duration::from_secs(60), &Interrupt::default()).expect("an answer");
    shown.add(&callback);
    shown.add(&responder);
    drop(responder);
    browser.join().expect("a browser");
    assert_planted_nowhere(&shown);
}

#[test]
fn the_stores_and_what_they_hold() {
    let mut shown = Shown::default();
    let (secret, memory) = (SecretBytes::new(PLANTED.as_bytes().to_vec()), MemoryStore::default());
    memory.set(PLANTED, &secret).expect("kept");
    shown.add(&memory);
    shown.add(&secret);
    shown.add(&memory.get(PLANTED));
    let key: RescueKey = serde_json::from_value(PLANTED.into()).expect("a key");
    shown.add(&key);
    assert_planted_nowhere(&shown);
}

#[test]
fn the_proxy_with_its_password() {
    let mut shown = Shown::default();
    let proxy = Some(format!("http://user:{PLANTED}@proxy.example:8080"));
    let options = HttpOptions { proxy, ..HttpOptions::default() };
    shown.add(&options);
    let http = Http::new(options);
    let place = url::Url::parse(&format!("http://127.0.0.1:1/?code={PLANTED}")).expect("a URL");
    shown.add(&http.get_json::<serde_json::Value>(&place));
    assert!(http.is_built());
    shown.add(&http);
    assert_planted_nowhere(&shown);
}

fn assert_planted_nowhere(shown: &Shown) {
    for (name, text) in &shown.0 {
        assert!(!text.contains(PLANTED), "the Debug of {name}: {text}");
    }
}

#[test]
fn the_sandbox_and_what_it_saw() {
    let (sandbox, mut shown) = (sandbox(), Shown::default());
    let env = signed_in(&sandbox);
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
    shown.add(&sandbox);
    shown.add(&sandbox.seen());
    shown.add(&sandbox.issued());
    shown.add(&sandbox.settings());
    shown.add(&Client::new("some-client", Some(CLIENT_SECRET)));
    let mut idp = Idp::new("http://127.0.0.1:1", Settings::default()).expect("a provider");
    let request = Request::post("/token", &[("grant_type", "refresh_token"), ("refresh_token", PLANTED)]);
    let request = request.with_header("Authorization", PLANTED);
    shown.add(&request);
    shown.add(&idp.handle(&request, 1));
    shown.add(&idp);
    shown.assert_clean(&Secrets::of(&sandbox));
}

/// What is shown of these is what they say, and a program may put no secret there; but each is formatted once.
#[test]
fn the_plain_words_and_places() {
    let (env, mut shown) = (TestEnv::new(), Shown::default());
    let lock = Lock::acquire(&env.files(), "default", Duration::ZERO, &Interrupt::default()).expect("free");
    shown.add(&lock);
    shown.add(&FileStore::new(env.files()));
    shown.add(&[Browser::Default, Browser::App("firefox".to_owned()), Browser::None]);
    let nowhere = url::Url::parse("http://127.0.0.1:1/").expect("a URL");
    shown.add(&Browser::None.open(&nowhere).expect("a good URL"));
    shown.add(&TokenRequest::default());
    shown.add(&[StoreKind::Keyring, StoreKind::File, StoreKind::Memory]);
    shown.add(&[Unavailable::Locked, Unavailable::Absent, Unavailable::TimedOut, Unavailable::Interrupted]);
    let redirect = LoopbackRedirect { host: "127.0.0.1".to_owned(), port: None, path: "/".to_owned() };
    shown.add(&redirect);
    shown.add(&ClientKind::Installed);
    shown.add(&ClientFile::parse(PLANTED).expect_err("no client file"));
    let failed = NotSignedIn { program: "gauth", reason: "x", next: "y" };
    shown.add(&failed);
    shown.add(&not_signed_in(&failed));
    let outcome = Err(&Error::NoClient);
    shown.add(&Exchange { method: "GET", host: "op.example", outcome, took: Duration::ZERO });
    assert_planted_nowhere(&shown);
}

#[test]
fn the_words_of_the_sandbox() {
    let mut shown = Shown::default();
    shown.add(&Approval::of(ALICE));
    shown.add(&[ClientAuth::None, ClientAuth::Basic, ClientAuth::Post, ClientAuth::Both]);
    shown.add(&Config::default());
    shown.add(&Delivery::Whole);
    shown.add(&Endpoint::Token);
    shown.add(&Injection::from(Fault::IdToken(IdTokenFault::AlgNone)));
    shown.add(&Fault::Empty);
    shown.add(&IdTokenFault::AlgNone);
    shown.add(&IssParameter::Right);
    shown.add(&IssuedKind::Code);
    assert_planted_nowhere(&shown);
}

#[test]
fn every_error_of_a_refresh() {
    let answer = |status, body: &str| Fault::Status {
        status,
        body: body.replace("CANARY", PLANTED),
        content_type: "application/json".to_owned(),
        headers: vec![("X-Token".to_owned(), PLANTED.to_owned())],
    };
    for fault in [
        answer(200, "CANARY"),
        answer(200, r#"{"access_token":{"value":"CANARY"},"token_type":"Bearer"}"#),
        answer(200, r#"{"access_token":"CANARY","token_type":"CANARY"}"#),
        answer(200, r#"{"access_token":"CANARY","token_type":["CANARY"]}"#),
        answer(200, r#"{"access_token":"CANARY\n","token_type":"Bearer"}"#),
        answer(200, r#"{"access_token":"a","token_type":"Bearer","id_token":"CANARY.CANARY.CANARY"}"#),
        answer(400, r#"{"error":"invalid_grant","refresh_token":"CANARY"}"#),
        answer(500, "CANARY"),
        Fault::Redirect(format!("http://127.0.0.1:1/{PLANTED}")),
        Fault::Truncated,
        Fault::LostAfter,
    ] {
        let sandbox = without_rotation();
        let (env, mut shown) = (signed_in(&sandbox), Shown::default());
        sandbox.inject(fault.times(3));
        let (vault, http) = (vault(&env, Clock::system()), Http::default());
        let request = TokenRequest { force: true, ..TokenRequest::default() };
        let error = StoredUser::new(&vault, &http, "default").token(&request).expect_err("a failure");
        let causes: Vec<String> = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(|error| format!("{error} {error:?}"))
            .collect();
        shown.add(&causes);
        shown.add(&error);
        shown.assert_clean(&Secrets::of(&sandbox));
    }
}

/// A type that is added tomorrow is a failure here until it is formatted above.
#[test]
fn every_public_type_of_the_library_was_formatted() {
    a_login_and_all_that_is_kept_of_it();
    the_words_of_the_protocol();
    the_listener_and_the_answer_that_it_holds_open();
    the_stores_and_what_they_hold();
    the_proxy_with_its_password();
    the_sandbox_and_what_it_saw();
    the_plain_words_and_places();
    the_words_of_the_sandbox();
    every_error_of_a_refresh();
    let seen = SEEN.lock().expect("a lock").clone();
    let types = public_types(Path::new("src"));
    assert!(types.len() > 60 && types.contains("Credential"), "the source was read: {types:?}");
    let missing: Vec<_> = types.difference(&seen).collect();
    assert!(missing.is_empty(), "never formatted: {missing:?}");
    support::figure("public types formatted", types.len());
}

/// The names of the library's public types, by its source.
fn public_types(dir: &Path) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for entry in fs::read_dir(dir).expect("the source") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() && !path.ends_with("bin") {
            types.append(&mut public_types(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("the source");
            let named = text.lines().filter_map(|line| {
                let name = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))?;
                name.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned)
            });
            types.extend(named);
        }
    }
    types
}
