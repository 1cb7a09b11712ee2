//! What a warm token and a callback cost inside the process: the readers and the token path, without a program's start.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use gauth::accounts::Profile;
use gauth::login::callback::{IssuerRule, parse};
use gauth::store::StoreKind;
use gauth::store::keyring::KeyringStore;
use gauth::store::memory::MemoryStore;
use gauth::{
    Accounts, Cache, ClientFile, Clock, FreshToken, Http, Interrupt, Provider, Scopes, StoredUser, TokenRequest, Vault,
};
use oauth2::{AccessToken, CsrfToken};

fn callback(bench: &mut Criterion) {
    let state = CsrfToken::new("a".repeat(43));
    let rule = IssuerRule { issuer: "https://accounts.google.com".to_owned(), is_promised: false };
    let scope = "email%20openid%20https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdrive.readonly".repeat(5);
    let target =
        format!("/?state={}&code=4%2F0A{}&scope={scope}&authuser=0&prompt=consent", state.secret(), "x".repeat(70));
    bench.bench_function("callback, right", |b| b.iter(|| parse(black_box(&target), "/", &state, &rule)));
    let wrong = target.replace("state=a", "state=b");
    bench.bench_function("callback, wrong state", |b| b.iter(|| parse(black_box(&wrong), "/", &state, &rule)));
}

fn client_file(bench: &mut Criterion) {
    let text = include_str!("../client_secrets.example.json");
    bench.bench_function("client file", |b| b.iter(|| ClientFile::parse(black_box(text))));
}

fn profile(number: usize) -> Profile {
    Profile {
        provider: Provider::google(),
        client_id: "1234567890-abcdefghijklmnop.apps.googleusercontent.com".to_owned(),
        subject: "112233445566778899000".to_owned(),
        email: Some("ann@example.com".to_owned()),
        scopes: Scopes::parse("openid email https://www.googleapis.com/auth/cloud-platform"),
        store: StoreKind::Memory,
        item: format!("{number}.a"),
        generation: format!("{number:016x}"),
        created_at: 0,
        project_id: None,
        client_file: None,
        redirect: None,
        kept_until: None,
        shares_grants: false,
        needs_login: None,
    }
}

/// An index of so many profiles, and a good token for the first one.
fn vault(dir: &std::path::Path, profiles: usize) -> Vault {
    let vault = Vault {
        accounts: Accounts::new(dir.join("config")),
        cache: Cache::new(dir.join("run")),
        clock: Clock::fixed(1000),
        interrupt: Interrupt::default(),
        keyring: KeyringStore::new(Interrupt::default()),
        memory: Arc::new(MemoryStore::default()),
    };
    let insert = |number: usize| (format!("p{number}"), profile(number));
    let written = vault.accounts.update(|index| {
        index.profiles.extend((0..profiles).map(insert));
        Ok(())
    });
    written.expect("an index");
    let first = profile(0);
    let token = FreshToken {
        access_token: AccessToken::new(format!("ya29.{}", "x".repeat(200))),
        issued_at: 1000,
        issued_uptime: None,
        expires_at: 4600,
        scopes: first.scopes.clone(),
    };
    vault.cache.put(&first.cache_key(&first.scopes), &token).expect("a cached token");
    vault
}

fn warm_token(bench: &mut Criterion) {
    for profiles in [1, 20] {
        let dir = tempfile::tempdir().expect("a folder");
        let (vault, http) = (vault(dir.path(), profiles), Http::default());
        let user = StoredUser::new(&vault, &http, "p0");
        let served = user.token(&TokenRequest::default()).expect("a token");
        assert!(served.warning.is_none() && !http.is_built());
        let name = format!("warm token, {profiles} in the index");
        bench.bench_function(&name, |b| b.iter(|| user.token(black_box(&TokenRequest::default()))));
    }
}

criterion_group!(benches, callback, client_file, warm_token);
criterion_main!(benches);
