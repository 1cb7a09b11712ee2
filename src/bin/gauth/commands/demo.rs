//! `gauth demo`: the whole product against the built-in provider, in folders of its own, with nothing left behind.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use gauth::accounts::Profile;
use gauth::client::ClientFile;
use gauth::login::{InstalledAppFlow, LoginOptions, Opening};
use gauth::sandbox::{Config, Sandbox};
use gauth::{Error, Provider, Result, StoreKind, StoredUser, TokenRequest};
use url::Url;

use crate::args::Demo;
use crate::commands::doors::own_browser;
use crate::commands::login::{Done, Request, place, sign_in};
use crate::commands::logout::revoke_grant;
use crate::commands::registration::Registration;
use crate::commands::{ago, on};
use crate::context::Context;
use crate::failure::Failure;

pub fn run(context: &Context, options: &Demo) -> std::result::Result<(), Failure> {
    context.hold_signals();
    let dir = tempfile::Builder::new().prefix("gauth-demo-").tempdir().map_err(no_folder).map_err(on(NAME))?;
    let context = context.within(dir.path());
    let token = story(&context, options).map_err(on(NAME))?;
    context.ui.answer(&token)
}

/// Each step is done by the same code as in real use, and checked against what the provider saw.
fn story(context: &Context, options: &Demo) -> Result<String> {
    let ui = context.ui;
    let sandbox = super::sandbox::start(Config::default())?;
    let step = |text: &str| ui.say(&format!("{} {text}", ui.good("✓")));
    step(&format!("a provider of its own is running at {} (it grants nothing real)", sandbox.issuer()));
    let store = choose_store(context);
    let (done, is_real_browser) = login(context, options, &sandbox, store)?;
    let profile = &done.kept.profile;
    step(&format!("signed in as {}; the ID token's signature and claims are right", ui.bold(profile.account())));
    step(&format!("the refresh token is {}", place(store)));
    let (first, life) = fresh(context, false)?;
    check(sandbox.is_active(&first), "the first access token works")?;
    step(&format!("an access token, good for {}, without asking the provider again", ago(life)));
    let (second, _) = fresh(context, true)?;
    check(first != second && sandbox.is_active(&second), "the second access token works and is another one")?;
    step("refreshed: a new access token, and a new refresh token in place of the old one");
    logout(context, profile)?;
    check(!sandbox.is_active(&second), "the token is dead after signing out")?;
    step("signed out: the provider ended the grant, and nothing is left here");
    ui.say("");
    ui.say(&format!(
        "Real in this run: the sign-in over loopback and its checks{}.",
        real_parts(is_real_browser, store)
    ));
    ui.say("With your own Google client: gauth login --client-secrets client_secrets.json");
    ui.say("The token that was printed (it is dead by now):");
    Ok(second)
}

fn login(context: &Context, options: &Demo, sandbox: &Sandbox, store: StoreKind) -> Result<(Done, bool)> {
    let problem = |problem| Error::ClientFile { path: "the sandbox's".into(), problem };
    let file = ClientFile::parse(&sandbox.client_secrets_json("sandbox-installed")).map_err(problem)?;
    let registration = Registration {
        provider: Provider::of_client_file(&file, &context.http)?,
        client: file.client.clone(),
        redirect: None,
        client_file: None,
        project_id: None,
        is_web: false,
    };
    let request = Request { name: NAME, line: "gauth demo", registration: &registration, store, old: None };
    let login = LoginOptions { interrupt: context.interrupt.clone(), ..LoginOptions::default() };
    let mut is_real_browser = true;
    let done = std::thread::scope(|scope| {
        sign_in(context, &request, login, |flow| {
            let Some(why) = open(context, options, flow)? else { return Ok(()) };
            context.ui.say(&format!("- {why}, so the demo consents by itself"));
            is_real_browser = false;
            let url = flow.url().clone();
            scope.spawn(move || consent(sandbox, &url));
            Ok(())
        })
    })?;
    Ok((done, is_real_browser))
}

fn real_parts(is_real_browser: bool, store: StoreKind) -> String {
    let parts = [(is_real_browser, ", the browser"), (store == StoreKind::Keyring, ", the keyring")];
    parts.iter().filter(|(is_real, _)| *is_real).map(|(_, part)| *part).collect()
}

/// Opens the real browser; if there is none to open, says why.
fn open(context: &Context, options: &Demo, flow: &InstalledAppFlow<'_>) -> Result<Option<String>> {
    let environment = &context.environment;
    if options.no_browser {
        return Ok(Some("no browser is wanted".to_owned()));
    }
    if !environment.has_browser && !environment.has_display {
        return Ok(Some("there is no display for a browser".to_owned()));
    }
    context.ui.say("- in the browser: choose an account, then allow the access");
    context.ui.say(&format!("  {}", flow.url()));
    context.ui.say("  (no page came up? Ctrl-C, and then: gauth demo --no-browser)");
    match own_browser(environment).open(flow.url())? {
        Opening::Failed(cause) => Ok(Some(format!("no browser could be opened ({cause})"))),
        _ => Ok(None),
    }
}

/// Plays person and browser: consents at the sandbox and brings the answer to the loopback listener. If that fails, the
/// login ends by its own time limit and says so.
fn consent(sandbox: &Sandbox, authorization_url: &Url) {
    let answer = sandbox.approve(authorization_url.as_str(), "alice@example.test");
    let _ = Url::parse(&answer).map_err(io::Error::other).and_then(|url| visit(&url));
}

/// GETs an http URL on this machine and follows one redirect.
fn visit(url: &Url) -> io::Result<()> {
    let answer = get(url)?;
    let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
    match location.and_then(|location| url.join(location).ok()) {
        Some(next) => get(&next).map(drop),
        None => Ok(()),
    }
}

fn get(url: &Url) -> io::Result<String> {
    let address = url.socket_addrs(|| None)?;
    let mut stream = TcpStream::connect(&address[..])?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The keyring if it works here, and else this process's memory.
fn choose_store(context: &Context) -> StoreKind {
    match context.vault.check_writable(NAME, StoreKind::Keyring) {
        Ok(()) => StoreKind::Keyring,
        Err(error) => {
            context.ui.say(&format!(
                "- {}, so the demo keeps the refresh token in memory",
                crate::ui::clean(&error.to_string())
            ));
            StoreKind::Memory
        }
    }
}

fn fresh(context: &Context, force: bool) -> Result<(String, u64)> {
    let request = TokenRequest { force, ..TokenRequest::default() };
    let served = StoredUser::new(&context.vault, &context.http, NAME).token(&request)?;
    Ok((served.token.access_token.secret().clone(), served.token.expires_in(context.vault.clock.now())))
}

fn logout(context: &Context, profile: &Profile) -> Result<()> {
    let credential = context.vault.credential(profile)?;
    let credential =
        credential.ok_or(Error::NoStoredGrant { profile: NAME.to_owned(), store: profile.store.name() })?;
    revoke_grant(context, profile, &credential)?;
    context.vault.forget(NAME, profile)
}

/// The demo is a proof: a step that did not do what it says ends it.
fn check(is_true: bool, claim: &str) -> Result<()> {
    let problem = || format!("the demo found that this is not so: {claim}");
    if is_true { Ok(()) } else { Err(Error::BadAnswer { host: "the sandbox".to_owned(), problem: problem() }) }
}

fn no_folder(cause: io::Error) -> Error {
    Error::Io { action: "create", path: "a temporary folder".into(), cause }
}

const NAME: &str = "demo";
