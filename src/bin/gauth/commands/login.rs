//! `gauth login`: one sign-in, from the client file to the kept grant. Where flow and store meet.

use std::time::Duration;

use gauth::accounts::Profile;
use gauth::error::Refusal;
use gauth::login::{ExpectedAccount, InstalledAppFlow, ListenOptions, LoginOptions, Page, RequestOptions, pages};
use gauth::vault::{Kept, NewLogin};
use gauth::{Error, Interrupt, Result, Scopes, StoreKind, StoredUser, TokenEndpoint, TokenRequest};
use serde_json::json;

use crate::args::Login;
use crate::commands::doors;
use crate::commands::logout::revoke_grant;
use crate::commands::registration::{self, Registration};
use crate::commands::unanswered;
use crate::commands::{answer_json, on, rfc3339};
use crate::context::Context;
use crate::environment::{line, quoted, typed};
use crate::failure::{Failure, login_line};
use crate::ui::clean;

pub fn run(context: &Context, options: &Login) -> std::result::Result<(), Failure> {
    let name = context.profile_name().map_err(on("default"))?;
    let line = typed();
    let done = login(context, options, &name, &line).and_then(|done| {
        end_replaced(context, &name, &done)?;
        Ok(done)
    });
    match &done {
        Ok(_) => unanswered::forget(context),
        Err(Error::LoginTimedOut(_)) => unanswered::note(context),
        Err(_) => {}
    }
    report(context, options, &name, &done.map_err(|error| Failure::with_login(&error, &line))?)
}

fn login(context: &Context, options: &Login, name: &str, line: &str) -> Result<Done> {
    context.hold_signals();
    let old = known(context, name)?;
    let registration = registration::settle(context, options, old.as_ref())?;
    let store = options.store.or_else(|| kept_in(context, old.as_ref()?)).unwrap_or_default();
    let request = Request { name, line, registration: &registration, store, old: old.as_ref() };
    let login_options = request.login_options(options, context.interrupt.clone());
    sign_in(context, &request, login_options, |flow| doors::show(context, options, &request, flow))
}

/// Who signs in where, as settled from options, client file and profile.
#[derive(Debug)]
pub struct Request<'a> {
    pub name: &'a str,
    /// The command that does the same again.
    pub line: &'a str,
    pub registration: &'a Registration,
    pub store: StoreKind,
    pub old: Option<&'a Profile>,
}

/// A login that was kept.
#[derive(Debug)]
pub struct Done {
    pub kept: Kept,
    pub missing: Scopes,
    pub expires_at: u64,
}

/// The whole flow: store proved, port bound, person asked, outcome kept, page told. `show` presents the address; what it
/// gives lives until the end of the wait.
pub fn sign_in<T>(
    context: &Context,
    request: &Request<'_>,
    options: LoginOptions,
    show: impl FnOnce(&InstalledAppFlow<'_>) -> Result<T>,
) -> Result<Done> {
    options.request.check()?;
    context.vault.check_writable(request.name, request.store)?;
    let registration = request.registration;
    let endpoint = TokenEndpoint {
        provider: &registration.provider,
        client: &registration.client,
        http: &context.http,
        clock: &context.vault.clock,
    };
    let flow = InstalledAppFlow::bind(endpoint, options)?;
    let _shown = show(&flow)?;
    let _waiting = context.waiting("waiting for the browser; Ctrl-C gives up");
    flow.complete_with(
        |signed_in| {
            let missing = signed_in.missing.clone();
            let expires_at = signed_in.tokens.expires_at;
            let login = NewLogin {
                provider: &registration.provider,
                client: &registration.client,
                project_id: registration.project_id.clone(),
                client_file: registration.client_file.clone(),
                redirect: registration.redirect.clone(),
                store: request.store,
            };
            Ok(Done { kept: context.vault.keep(request.name, &login, signed_in)?, missing, expires_at })
        },
        |outcome| page(request, outcome),
    )
}

impl Request<'_> {
    fn login_options(&self, options: &Login, interrupt: Interrupt) -> LoginOptions {
        // The account of an earlier login at the same provider must be the one that signs in again.
        let before = self.old.filter(|old| old.provider.issuer == self.registration.provider.issuer);
        let remembered = before.and_then(|old| old.email.clone());
        let prompt = (self.registration.is_web && self.registration.provider.is_google()).then(|| "consent".to_owned());
        LoginOptions {
            request: RequestOptions {
                scopes: self.scopes(options, before),
                login_hint: options.login_hint.clone().or(remembered),
                hosted_domain: options.hosted_domain.clone(),
                prompt: options.prompt.clone().or(prompt),
                extra: options.auth_param.clone(),
            },
            listen: ListenOptions {
                port: options.port,
                bind: options.bind,
                redirect: self.registration.redirect.clone(),
            },
            account: ExpectedAccount {
                hint: options.login_hint.clone(),
                subject: before.map(|old| old.subject.clone()),
                subject_name: before.map(|old| old.account().to_owned()),
                hosted_domain: options.hosted_domain.clone(),
            },
            timeout: options.timeout.unwrap_or(Duration::from_secs(300)),
            interrupt,
        }
    }

    /// Identity always, since the account is checked by it; then what is named. Where nothing is named, and with
    /// `--add-scope`, also what the profile has, so that signing in again loses nothing.
    fn scopes(&self, options: &Login, before: Option<&Profile>) -> Scopes {
        let named = |scopes: &[String]| -> Scopes {
            let scopes = scopes.iter().flat_map(|scope| scope.split(' ')).filter(|scope| !scope.is_empty());
            let scopes: Scopes = scopes.map(str::to_owned).collect();
            if self.registration.provider.is_google() { scopes.expand_for_google() } else { scopes }
        };
        let keeps = options.scope.is_empty() || !options.add_scope.is_empty();
        let had = before.filter(|_| keeps).map(|before| before.scopes.clone()).unwrap_or_default();
        Scopes::parse("openid email").union(&had).union(&named(&options.scope)).union(&named(&options.add_scope))
    }
}

/// The store of an earlier login, if it was really there: an index that says "file" is not enough for plain text.
fn kept_in(context: &Context, old: &Profile) -> Option<StoreKind> {
    let is_there =
        old.store == StoreKind::Keyring || matches!(context.vault.store(old.store).get(&old.item), Ok(Some(_)));
    is_there.then_some(old.store)
}

fn known(context: &Context, name: &str) -> Result<Option<Profile>> {
    Ok(context.vault.accounts.load()?.profiles.remove(name))
}

fn page(request: &Request<'_>, outcome: &Result<Done>) -> Page {
    match outcome {
        Ok(done) => signed_in_page(request, done),
        Err(error) => {
            let failure = Failure::with_login(error, request.line);
            let next = failure.hints.first().map_or_else(|| "go back to your terminal".to_owned(), |hint| marked(hint));
            pages::not_signed_in(&pages::NotSignedIn {
                program: "gauth",
                reason: &sentence(&failure.fact),
                next: &sentence(&next),
            })
        }
    }
}

/// Where a store keeps things, in a sentence.
pub fn place(store: StoreKind) -> &'static str {
    match store {
        StoreKind::Keyring => "in your keyring",
        StoreKind::File => "in a file that only you can read",
        StoreKind::Memory => "in this process's memory",
    }
}

/// The command at the end of a hint, marked for the page.
fn marked(hint: &str) -> String {
    match hint.rsplit_once(": gauth ") {
        _ if hint.starts_with("gauth ") => format!("run `{hint}`"),
        Some((why, command)) => format!("{why}: `gauth {command}`"),
        None => hint.to_owned(),
    }
}

fn signed_in_page(request: &Request<'_>, done: &Done) -> Page {
    let note = (!done.missing.is_empty()).then(|| format!("Not granted: {}", done.missing));
    pages::signed_in(&pages::SignedIn {
        program: "gauth",
        profile: Some(request.name),
        account: done.kept.profile.account(),
        provider: request.registration.provider.authorization_endpoint.host_str().unwrap_or_default(),
        stored: place(request.store),
        note: note.as_deref(),
    })
}

/// First letter upper-case, unless the first word is an address or a command; full stop.
fn sentence(text: &str) -> String {
    let first_word = text.split(' ').next().unwrap_or_default();
    if first_word.contains(['@', '.', ':', '`']) {
        return format!("{text}.");
    }
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// Ends the old grant, only after the new one is kept, and makes sure that the new one survived it: some providers take
/// both for one grant, and RFC 7009 section 2.1 leaves that to them.
fn end_replaced(context: &Context, name: &str, done: &Done) -> Result<()> {
    if let Some(error) = &done.kept.left_behind {
        context.ui.warn(&format!(
            "the grant that this login replaces could not be read: it lives on at the provider, and its refresh token in the old store, until you remove it there: {error}"
        ));
    }
    let Some((old, credential)) = &done.kept.replaced else { return Ok(()) };
    let new = &done.kept.profile;
    // Google certainly does (G-35): there the old token is left to lie, and is in no store any more.
    if old.subject == new.subject && (old.provider.is_google() || old.shares_grants) {
        return Ok(());
    }
    match revoke_grant(context, old, credential) {
        Ok(true) if old.subject == new.subject => check_survived(context, name, new),
        Ok(_) => Ok(()),
        Err(error) => {
            context
                .ui
                .warn(&format!("the grant that this login replaces lives on at {}: {error}", old.provider.host()));
            Ok(())
        }
    }
}

fn check_survived(context: &Context, name: &str, new: &Profile) -> Result<()> {
    let glance = StoredUser::new(&context.vault, &context.http, name).glance(&TokenRequest::default())?;
    let (Some(url), Some(token)) = (&new.provider.userinfo_endpoint, glance.will_do) else { return Ok(()) };
    let asked = context.http.get_json_as::<serde_json::Value>(url, Some(&token.access_token));
    if !matches!(asked, Err(Error::BadAnswer { .. })) {
        return Ok(());
    }
    let reason = "ended together with the grant that it replaced";
    context.vault.note(name, new, |entry| {
        entry.shares_grants = true;
        entry.needs_login = Some(reason.to_owned());
    })?;
    Err(Error::GrantEnded {
        host: new.provider.host(),
        refusal: Refusal { error: reason.to_owned(), ..Refusal::default() },
    })
}

fn report(context: &Context, options: &Login, name: &str, done: &Done) -> std::result::Result<(), Failure> {
    let (ui, profile) = (context.ui, &done.kept.profile);
    let account = clean(profile.account());
    ui.say(&format!("{} signed in as {} (profile {})", ui.good("✓"), ui.bold(&account), ui.bold(name)));
    ui.say(&format!("the refresh token is {}", place(profile.store)));
    for scope in profile.scopes.iter() {
        ui.detail(&format!("granted: {scope}"));
    }
    for scope in done.missing.iter() {
        ui.warn(&format!("not granted: {scope}"));
    }
    if !done.missing.is_empty() {
        ui.say(&format!("ask for it again with: {}", again(name, &done.missing)));
    }
    if !options.json {
        ui.say(&format!("a fresh token at any time: {}", line("token", name)));
        return Ok(());
    }
    answer_json(
        context,
        &json!({
            "profile": name,
            "issuer": profile.provider.issuer,
            "client_id": profile.client_id,
            "email": profile.email,
            "sub": profile.subject,
            "scopes": profile.scopes,
            "missing_scopes": done.missing,
            "store": profile.store.name(),
            "expires_at": rfc3339(done.expires_at),
        }),
    )
}

fn again(name: &str, missing: &Scopes) -> String {
    let adds: Vec<String> = missing.iter().map(|scope| format!(" --add-scope {}", quoted(&clean(scope)))).collect();
    format!("{}{}", login_line(name), adds.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_leaves_addresses_and_commands_as_they_are() {
        assert_eq!(sentence("the keyring is locked"), "The keyring is locked.");
        assert_eq!(sentence("bob@example.test signed in"), "bob@example.test signed in.");
        assert_eq!(marked("gauth login --profile work"), "run `gauth login --profile work`");
        assert_eq!(marked("sign in again: gauth login"), "sign in again: `gauth login`");
    }
}
