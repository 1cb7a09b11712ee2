//! `gauth list`: the profiles of the index, without touching any store.

use gauth::accounts::{Index, Profile};
use serde_json::{Value, json};

use crate::args::Json;
use crate::commands::{answer_json, on, rfc3339};
use crate::context::Context;
use crate::failure::Failure;
use crate::ui::clean;

pub fn run(context: &Context, options: &Json) -> Result<(), Failure> {
    let index = context.vault.accounts.load().map_err(on("default"))?;
    if options.json {
        let entries = index.profiles.iter().map(|(name, profile)| entry(name, profile, default_of(&index)));
        return answer_json(context, &Value::Array(entries.collect()));
    }
    if index.profiles.is_empty() {
        context.ui.say("no profiles yet; sign in with: gauth login --client-secrets client_secrets.json");
        return Ok(());
    }
    context.ui.answer(table(&index).trim_end())
}

/// What a command without `--profile` would use.
pub fn default_of(index: &Index) -> &str {
    index.default.as_deref().unwrap_or("default")
}

/// The members that `list` and `status` share.
pub fn entry(name: &str, profile: &Profile, default: &str) -> Value {
    json!({
        "profile": name,
        "default": name == default,
        "issuer": profile.provider.issuer,
        "client_id": profile.client_id,
        "email": profile.email,
        "sub": profile.subject,
        "scopes": profile.scopes,
        "store": profile.store.name(),
        "created_at": rfc3339(profile.created_at),
    })
}

fn table(index: &Index) -> String {
    let mark = |name: &str| if name == default_of(index) { "*" } else { " " };
    let state = |profile: &Profile| if profile.needs_login.is_some() { "needs login" } else { "" };
    let rows: Vec<[String; 4]> = index
        .profiles
        .iter()
        .map(|(name, profile)| {
            let account = clean(profile.account());
            [format!("{} {name}", mark(name)), account, clean(&profile.provider.issuer), state(profile).to_owned()]
        })
        .collect();
    let widths = [0, 1, 2].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |[name, account, issuer, state]: &[String; 4]| {
        let [a, b, c] = widths;
        format!("{name:a$}  {account:b$}  {issuer:c$}  {state}").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
