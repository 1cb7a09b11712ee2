//! A desktop program that signs its user in once, and from then on has a fresh access token whenever it needs one.
//!
//! ```sh
//! cargo run --example desktop -- client_secrets.json FOLDER
//! ```
//!
//! FOLDER is where the program keeps what it remembers and what is no secret. The refresh token goes to the keyring.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use gauth::login::{InstalledAppFlow, ListenOptions, LoginOptions, Opening};
use gauth::store::keyring::KeyringStore;
use gauth::store::memory::MemoryStore;
use gauth::vault::NewLogin;
use gauth::{
    Accounts, Browser, Cache, ClientFile, Clock, Error, FreshToken, Http, Interrupt, Provider, Result, StoreKind,
    StoredUser, TokenEndpoint, TokenRequest, Vault,
};

/// A program with one user has one profile.
const PROFILE: &str = "default";

fn main() -> ExitCode {
    let [client_file, folder] = match env::args_os().skip(1).collect::<Vec<_>>().try_into() {
        Ok(arguments) => arguments,
        Err(_) => {
            eprintln!("usage: desktop CLIENT_FILE FOLDER");
            return ExitCode::from(2);
        }
    };
    match greet(Path::new(&client_file), folder.into()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("desktop: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the program is for: it asks the provider who the user is, with the user's own token.
fn greet(client_file: &Path, folder: PathBuf) -> Result<()> {
    let (vault, http) = (vault(folder), Http::default());
    let token = token(&vault, &http, client_file)?;
    let provider = vault.profile(PROFILE)?.provider;
    if let Some(userinfo) = &provider.userinfo_endpoint {
        let user = http.get_json_as::<serde_json::Value>(userinfo, Some(&token.access_token))?.unwrap_or_default();
        println!("hello {}", user["email"].as_str().unwrap_or("whoever you are"));
    }
    println!("the token lives {} s more", token.expires_in(vault.clock.now()));
    Ok(())
}

/// A token with at least five minutes left: the kept one, or a refreshed one, or that of a new sign-in.
fn token(vault: &Vault, http: &Http, client_file: &Path) -> Result<FreshToken> {
    let user = StoredUser::new(vault, http, PROFILE);
    let request = TokenRequest::default();
    let served = match user.token(&request) {
        // Only these mean that the person has to sign in. A network that is down or a locked keyring does not.
        Err(Error::NoSuchProfile { .. } | Error::NoStoredGrant { .. } | Error::GrantEnded { .. }) => {
            sign_in(vault, http, client_file)?;
            user.token(&request)?
        }
        served => served?,
    };
    Ok(served.token)
}

/// Opens the browser, waits for the person, and keeps the login.
fn sign_in(vault: &Vault, http: &Http, client_file: &Path) -> Result<()> {
    let store = StoreKind::Keyring;
    // Before the person is asked for anything, the keyring must have shown that it works.
    vault.check_writable(PROFILE, store)?;
    let file = ClientFile::read(client_file)?;
    let provider = Provider::of_client_file(&file, http)?;
    let endpoint = TokenEndpoint { provider: &provider, client: &file.client, http, clock: &vault.clock };
    let listen = ListenOptions { redirect: file.loopback_redirect(), ..ListenOptions::default() };
    let flow = InstalledAppFlow::bind(endpoint, LoginOptions { listen, ..LoginOptions::default() })?;
    if let Opening::Failed(_) = Browser::Default.open(flow.url())? {
        println!("open this address to sign in: {}", flow.url());
    }
    let login = NewLogin {
        provider: &provider,
        client: &file.client,
        project_id: file.project_id.clone(),
        client_file: None,
        redirect: file.loopback_redirect(),
        store,
    };
    // The page in the browser says "signed in" only once this closure has kept the login.
    flow.complete("Desktop example", |signed_in| vault.keep(PROFILE, &login, signed_in)).map(drop)
}

/// Where things are kept. Without a cache the access token is in the keyring, beside the refresh token.
fn vault(folder: PathBuf) -> Vault {
    Vault {
        accounts: Accounts::new(folder),
        cache: Cache::off(),
        clock: Clock::system(),
        interrupt: Interrupt::default(),
        keyring: KeyringStore::default(),
        memory: Arc::new(MemoryStore::default()),
    }
}
