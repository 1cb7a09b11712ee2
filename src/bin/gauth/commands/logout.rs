//! `gauth logout`: revokes the grant at the provider, then forgets it here.

use std::process::ExitCode;

use gauth::accounts::Profile;
use gauth::credential::Credential;
use gauth::{Error, TokenEndpoint};

use crate::args::Logout;
use crate::commands::on;
use crate::context::Context;
use crate::environment::line;
use crate::failure::Failure;

pub fn run(context: &Context, options: &Logout) -> Result<ExitCode, Failure> {
    context.hold_signals();
    let names = match options.all {
        true => context.vault.accounts.load().map_err(on("default"))?.profiles.into_keys().collect(),
        false => vec![context.profile_name().map_err(on("default"))?],
    };
    let mut code = 0;
    for name in &names {
        context.interrupt.check().map_err(on(name))?;
        // Every profile gets its turn; the first failure decides the exit code.
        let ended = end(context, name, options.local_only).unwrap_or_else(|failure| {
            context.ui.fail(&failure);
            failure.code
        });
        code = if code == 0 { ended } else { code };
    }
    if names.is_empty() {
        context.ui.say("no profiles, nothing to do");
    }
    Ok(ExitCode::from(code))
}

/// Holds the lock all through, so that a refresh in flight cannot bring back what is being ended.
fn end(context: &Context, name: &str, is_local_only: bool) -> Result<u8, Failure> {
    let ui = context.ui;
    context.vault.profile(name).map_err(on(name))?; // a name that is none leaves no lock file
    let _lock = context.vault.lock(name).map_err(on(name))?;
    let profile = context.vault.profile(name).map_err(on(name))?;
    let ended = if is_local_only { Ok(Ended::NotAsked) } else { revoke(context, name, &profile) };
    if let Err(error @ Error::Store(_)) = ended {
        return Err(store_failure(error, name)); // nothing is lost, and the grant can still be revoked later
    }
    if let Err(error) = forget(context, name, &profile, is_local_only) {
        return Err(half_done(error, name, &profile, matches!(ended, Ok(Ended::Yes))));
    }
    ui.say(&format!("{} signed out of profile {}", ui.good("✓"), ui.bold(name)));
    let host = profile.provider.host();
    match ended {
        Ok(Ended::Yes) => ui.say(&ended_text(&profile)),
        Ok(Ended::NotAsked) => ui.say(&format!("the grant lives on at {host}")),
        Ok(Ended::NoToken) => ui.warn(&format!(
            "no refresh token was kept here, so {host} could not be asked to end the grant; {ELSEWHERE}"
        )),
        Ok(Ended::NoEndpoint) => {
            ui.warn(&format!("{host} offers no revocation, so the grant lives on there; {ELSEWHERE}"))
        }
        Err(error) => {
            ui.warn(&unconfirmed(&error, &host));
            ui.say(ELSEWHERE);
            return Ok(Failure::of(&error, name).code);
        }
    }
    Ok(0)
}

/// With `--local-only` a store that cannot be used is no obstacle: its item is of no use without the index, but the
/// person should know that it is there.
fn forget(context: &Context, name: &str, profile: &Profile, is_local_only: bool) -> gauth::Result<()> {
    match context.vault.forget(name, profile) {
        Err(error @ Error::Store(_)) if is_local_only => {
            context.ui.warn(&format!("{error}; the item {:?} stays in it until you remove it there", profile.item));
            context.vault.forget_entry(name)
        }
        done => done,
    }
}

/// An answer that did not come can have been a yes.
fn unconfirmed(error: &Error, host: &str) -> String {
    match error.is_transient() || matches!(error, Error::Interrupted) {
        true => {
            format!("{host} did not confirm the end of the grant, so it must be taken that it lives on there: {error}")
        }
        false => format!("the grant lives on at {host}: {error}"),
    }
}

/// What became of the grant.
enum Ended {
    Yes,
    NotAsked,
    NoToken,
    NoEndpoint,
}

/// The grant has ended, and what is kept of it here could not be removed: the person should know both.
fn half_done(error: Error, name: &str, profile: &Profile, has_ended: bool) -> Failure {
    if !has_ended {
        return store_failure(error, name);
    }
    let mut failure = store_failure(error, name);
    failure.hints.retain(|hint| !hint.contains("--local-only"));
    failure.causes.push(format!("{}, but what is kept of it here could not be removed", ended_text(profile)));
    failure.hints.push(format!("then run it once more, to remove the rest: {}", line("logout", name)));
    failure
}

/// Nobody who signs out wants to hear how to sign in.
fn store_failure(error: Error, name: &str) -> Failure {
    let mut failure = Failure::of(&error, name);
    failure.hints.retain(|hint| !hint.contains("gauth login"));
    if let Error::Store(_) = error {
        let logout = line("logout", name);
        failure.hints.push(format!("forget it here and let the grant live on: {logout} --local-only"));
    }
    failure
}

/// Google ends everything that this project was ever granted by this account (G-35).
fn ended_text(profile: &Profile) -> String {
    match profile.provider.is_google() {
        true => {
            "Google has ended all access of this client's whole project to the account, other clients of it included"
                .to_owned()
        }
        false => format!("{} has ended the grant", profile.provider.host()),
    }
}

fn revoke(context: &Context, name: &str, profile: &Profile) -> gauth::Result<Ended> {
    let Some(credential) = context.vault.credential(profile)? else { return Ok(Ended::NoToken) };
    set_aside(context, name, profile);
    let _waiting = context.waiting(&format!("waiting for {} to end the grant of {name}", profile.provider.host()));
    Ok(if revoke_grant(context, profile, &credential)? { Ended::Yes } else { Ended::NoEndpoint })
}

/// Killed after the provider's answer, no later command may take a token of this grant for a good one. Where this cannot be
/// written, the grant is ended all the same.
fn set_aside(context: &Context, name: &str, profile: &Profile) {
    let _ = context.vault.cache.forget(&profile.generation);
    let _ = context.vault.note(name, profile, |entry| {
        entry.needs_login = Some("a sign-out was begun and not finished".to_owned());
    });
}

/// Ends one grant at its provider; also for the old one that a new login replaces.
pub fn revoke_grant(context: &Context, profile: &Profile, credential: &Credential) -> gauth::Result<bool> {
    let client = credential.client(profile);
    let endpoint = TokenEndpoint {
        provider: &profile.provider,
        client: &client,
        http: &context.http,
        clock: &context.vault.clock,
    };
    endpoint.revoke(&credential.refresh_token)
}

const ELSEWHERE: &str = "end it in the account's settings, under third-party access";
