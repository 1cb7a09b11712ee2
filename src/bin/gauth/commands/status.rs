//! `gauth status`: one profile, from the index and the cache; no store is touched.

use gauth::FreshToken;
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
    let token = context.vault.cache.get(&profile.cache_key(&profile.scopes));
    if !options.json {
        return context.ui.answer(&lines(context, &name, &profile, token.as_ref()));
    }
    let mut object = entry(&name, &profile, default_of(&index));
    let now = context.vault.clock.now();
    object["access_token"] = token.map_or(
        serde_json::Value::Null,
        |token| json!({ "expires_at": rfc3339(token.expires_at), "valid": token.is_usable(now, 0) }),
    );
    object["needs_login"] = profile.needs_login.is_some().into();
    object["reason"] = profile.needs_login.into();
    answer_json(context, &object)
}

fn lines(context: &Context, name: &str, profile: &Profile, token: Option<&FreshToken>) -> String {
    let now = context.vault.clock.now();
    let token = match token {
        Some(token) if token.is_usable(now, 0) => format!("good for {}", ago(token.expires_in(now))),
        Some(_) => "expired; the next gauth token refreshes it".to_owned(),
        None if !context.vault.cache.is_on() => {
            format!("kept in the {}, which is not opened for this", profile.store.name())
        }
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
