//! `gauth status`: one profile, from the index and the cache; no store is touched.

use gauth::accounts::Profile;
use serde_json::json;

use crate::args::Json;
use crate::commands::list::{default_of, entry};
use crate::commands::{ago, answer_json, on, rfc3339};
use crate::context::Context;
use crate::failure::{Failure, login_line};
use crate::ui::clean;

pub fn run(context: &Context, options: &Json) -> Result<(), Failure> {
    let name = context.profile_name().map_err(on("default"))?;
    let index = context.vault.accounts.load().map_err(on(&name))?;
    let profile = context.vault.profile(&name).map_err(on(&name))?;
    let ends = ends_at(context, &profile);
    if !options.json {
        return context.ui.answer(&lines(context, &name, &profile, ends));
    }
    let mut object = entry(&name, &profile, default_of(&index));
    let now = context.vault.clock.now();
    object["access_token"] =
        ends.map_or(serde_json::Value::Null, |ends| json!({ "expires_at": rfc3339(ends), "valid": ends > now }));
    object["needs_login"] = profile.needs_login.is_some().into();
    object["reason"] = profile.needs_login.into();
    answer_json(context, &object)
}

/// When the kept access token ends, in Unix seconds; as the index has it where the token itself is in the store.
fn ends_at(context: &Context, profile: &Profile) -> Option<u64> {
    let cached = context.vault.cache.get(&profile.cache_key(&profile.scopes));
    cached.map(|token| token.expires_at).or(profile.kept_until.filter(|_| !context.vault.cache.is_on()))
}

fn lines(context: &Context, name: &str, profile: &Profile, ends: Option<u64>) -> String {
    let now = context.vault.clock.now();
    let token = match ends {
        Some(ends) if ends > now => format!("good for {}", ago(ends - now)),
        Some(_) => "expired; the next gauth token refreshes it".to_owned(),
        None if profile.needs_login.is_some() => "none".to_owned(),
        None => "none kept; the next gauth token gets one".to_owned(),
    };
    let grant = match &profile.needs_login {
        Some(reason) => format!("a login is needed: {} ({})", login_line(name), clean(reason)),
        None => "good, as far as is known here".to_owned(),
    };
    let rows = [
        ("profile", name.to_owned()),
        ("account", clean(profile.account())),
        ("provider", clean(&profile.provider.issuer)),
        ("client", clean(&profile.client_id)),
        ("scopes", clean(&profile.scopes.to_string())),
        ("store", profile.store.name().to_owned()),
        ("signed in", rfc3339(profile.created_at)),
        ("grant", grant),
        ("access token", token),
    ];
    rows.map(|(label, value)| format!("{label:<13} {value}")).join("\n")
}
