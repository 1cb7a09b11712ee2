//! `gauth token`: prints a fresh access token, and nothing else on stdout.

use gauth::accounts::Profile;
use gauth::source::user::Served;
use gauth::{Error, FreshToken, Scopes, StoredUser, TokenRequest};
use serde_json::json;

use crate::args::{Format, Token};
use crate::commands::explain::why_ended;
use crate::commands::{answer_json, on, rfc3339};
use crate::context::Context;
use crate::failure::{Failure, login_line};

pub fn run(context: &Context, options: &Token) -> Result<(), Failure> {
    let (name, profile) = context.profile()?;
    let request = request(&profile, options);
    let served = obtain(context, &name, &profile, &request)?;
    if let Some(error) = &served.warning {
        let left = served.token.expires_in(context.vault.clock.now());
        context.ui.warn(&format!("no fresher token: {error}; this one lives {left} s more"));
        if let Error::AnswerLost { .. } = error {
            let login = login_line(&name);
            context.ui.say(&format!(
                "if the provider had already replaced the refresh token, the next try says so; then: {login}"
            ));
        }
    }
    warn_of_short_life(context, options, &served.token);
    let format = if options.json { Format::Json } else { options.format.unwrap_or(Format::Token) };
    print(context, &name, &profile, &served.token, format)
}

/// Warm: no thread, no lock, no client. Only when that will not do are signals held and the provider asked.
fn obtain(context: &Context, name: &str, profile: &Profile, request: &TokenRequest) -> Result<Served, Failure> {
    let user = StoredUser::new(&context.vault, &context.http, name);
    let glance = user.glance_as(profile, request).map_err(on(name))?;
    if let Some(token) = glance.will_do {
        context.ui.detail("served from the cache");
        return Ok(token.into());
    }
    context.hold_signals();
    let _waiting = context.waiting("waiting for a fresh token");
    let served = user.renew(request, glance).map_err(|error| explained(context, name, &error))?;
    // Whoever gave up meanwhile gets nothing more; the token is kept for the next one.
    context.interrupt.check().map_err(on(name))?;
    Ok(served)
}

/// A grant that has ended comes with the reasons that fit.
fn explained(context: &Context, name: &str, error: &Error) -> Failure {
    let mut failure = Failure::of(error, name);
    if let (Error::GrantEnded { refusal, .. }, Ok(profile)) = (error, context.vault.profile(name)) {
        let reasons = why_ended(&profile, &refusal.to_string(), context.vault.clock.now());
        failure.causes.extend(reasons.into_iter().map(|reason| format!("perhaps: {reason}")));
    }
    failure
}

/// Asking for more life than the provider ever gives means a refresh on every call.
fn warn_of_short_life(context: &Context, options: &Token, token: &FreshToken) {
    let life = token.life();
    if let Some(min_ttl) = options.min_ttl.map(|min_ttl| min_ttl.as_secs()).filter(|min_ttl| *min_ttl > life) {
        context.ui.warn(&format!("--min-ttl {min_ttl}s cannot be met: this provider's tokens live {life} s"));
    }
}

fn request(profile: &Profile, options: &Token) -> TokenRequest {
    let min_ttl = options.min_ttl.map(|min_ttl| min_ttl.as_secs());
    let mut request = TokenRequest { scopes: None, min_ttl, force: options.force_refresh };
    if !options.scope.is_empty() {
        let scopes: Scopes = options.scope.iter().flat_map(|scope| scope.split(' ')).map(str::to_owned).collect();
        request.scopes = Some(if profile.provider.is_google() { scopes.expand_for_google() } else { scopes });
    }
    request
}

fn print(context: &Context, name: &str, profile: &Profile, token: &FreshToken, format: Format) -> Result<(), Failure> {
    let secret = token.access_token.secret();
    match format {
        Format::Token => context.ui.answer(secret),
        Format::Header => context.ui.answer(&format!("Authorization: Bearer {secret}")),
        // Within quotes of a curl config only backslash and quote need an escape; a token may hold both (L-17).
        Format::Curl => context.ui.answer(&format!("header = \"Authorization: Bearer {}\"", escape(secret))),
        Format::Json => answer_json(context, &object(context, name, profile, token)),
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn object(context: &Context, name: &str, profile: &Profile, token: &FreshToken) -> serde_json::Value {
    json!({
        "access_token": token.access_token.secret(),
        "token_type": "Bearer",
        "expires_at": rfc3339(token.expires_at),
        "expires_in": token.expires_in(context.vault.clock.now()),
        "scopes": token.scopes,
        "email": profile.email,
        "profile": name,
    })
}
