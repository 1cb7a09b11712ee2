//! `gauth doctor`: all that a sign-in and a token need, one check after the other, each with what mends it.

use std::fmt::Write as _;
use std::process::ExitCode;

use gauth::accounts::Profile;
use gauth::client::ClientKind;
use gauth::login::ListenOptions;
use gauth::login::loopback::LoopbackServer;
use gauth::{Browser, ClientFile, Error, Provider, Result, StoreKind};
use serde_json::{Value, json};

use crate::args::Json;
use crate::commands::doors::own_browser;
use crate::commands::explain::why_ended;
use crate::commands::{ago, answer_json};
use crate::context::Context;
use crate::failure::{Failure, login_line};
use crate::ui::clean;

/// One thing that was looked at.
struct Check {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    fixes: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    /// With the exit code of such a failure.
    Fail(u8),
}

pub fn run(context: &Context, options: &Json) -> std::result::Result<ExitCode, Failure> {
    context.hold_signals();
    let name = match context.profile_name() {
        Err(error @ Error::ProfileName(_)) => return Err(Failure::of(&error, "default")),
        named => named.unwrap_or_else(|_| "default".to_owned()), // the index is looked at below
    };
    let checks = checks(context, &name);
    if options.json {
        answer_json(context, &checks.iter().map(Check::json).collect())?;
    } else {
        context.ui.answer(&checks.iter().map(Check::lines).collect::<Vec<_>>().join("\n"))?;
    }
    let first = checks.iter().find_map(|check| match check.verdict {
        Verdict::Fail(code) => Some(code),
        _ => None,
    });
    Ok(ExitCode::from(first.unwrap_or_default()))
}

fn checks(context: &Context, name: &str) -> Vec<Check> {
    let _waiting = context.waiting("looking around");
    let (profile, is_known) = match context.vault.profile(name) {
        Ok(profile) => (Some(profile), true),
        Err(error) => (None, matches!(error, Error::NoSuchProfile { .. })),
    };
    let patient = Patient { context, name, profile: profile.as_ref(), is_known };
    let mut checks = vec![
        patient.config_folder(),
        patient.runtime_folder(),
        patient.client(),
        patient.store(),
        patient.browser(),
        patient.loopback(),
        patient.network_setup(),
    ];
    checks.extend(patient.provider_and_clock());
    checks.push(patient.grant());
    checks
}

/// What is examined: the profile, if there is one, in its surroundings.
struct Patient<'a> {
    context: &'a Context,
    name: &'a str,
    profile: Option<&'a Profile>,
    /// Whether the index could be read: without it nobody can say whether there is a profile.
    is_known: bool,
}

impl Patient<'_> {
    fn config_folder(&self) -> Check {
        let accounts = &self.context.vault.accounts;
        let dir = accounts.dir().display().to_string();
        if !accounts.dir().exists() {
            return Check::ok("config folder", format!("{dir}, made by the first login"));
        }
        let writable = accounts.check_writable().map(|()| dir);
        self.check("config folder", writable)
    }

    /// Without one every command asks the store, which takes longer.
    fn runtime_folder(&self) -> Check {
        let cache = &self.context.vault.cache;
        match cache.check_usable() {
            _ if !cache.is_on() => Check::ok("runtime folder", "none: access tokens are kept in the store"),
            Ok(()) => Check::ok("runtime folder", "access tokens are kept in RAM"),
            Err(error) => Check::warn(
                "runtime folder",
                format!("{error}: access tokens are kept in the store"),
                "name a folder of your own: --runtime-dir FOLDER",
            ),
        }
    }

    fn client(&self) -> Check {
        let in_config_dir = self.context.vault.accounts.dir().join("client_secrets.json");
        let path = match self.profile {
            Some(profile) => profile.client_file.clone(),
            None => Some(in_config_dir).filter(|path| path.exists()),
        };
        match (path.map(|path| (ClientFile::read(&path), path)), self.profile) {
            (Some((Ok(file), path)), _) => kind_of_client(&file, &path.display().to_string()),
            (Some((Err(error), _)), None) => self.check("client", Err(error)),
            // It is needed only where the store has lost the credential.
            (Some((Err(error), _)), Some(profile)) => Check::warn(
                "client",
                format!("{}, remembered by the profile; its file is of no use any more: {error}", profile.client_id),
                "sign in again with a new one: gauth login --client-secrets FILE",
            ),
            (None, Some(profile)) => Check::ok("client", format!("{}, remembered by the profile", profile.client_id)),
            (None, None) => Check::warn("client", "none yet", &self.first_login()),
        }
    }

    /// Writes, reads and removes an item of no worth.
    fn store(&self) -> Check {
        let of_profile = self.profile.map(|profile| profile.store);
        let kind = of_profile.or(self.context.environment.store).unwrap_or_default();
        if kind == StoreKind::File && !self.context.vault.accounts.secrets_dir().exists() {
            return Check::ok("store", "a file, made by the first login");
        }
        let tried = self.context.vault.check_store(self.name, kind);
        self.check("store", tried.map(|()| format!("the {} takes an item and gives it back", kind.name())))
    }

    fn browser(&self) -> Check {
        match own_browser(&self.context.environment) {
            Browser::Default => Check::ok("browser", "the system's"),
            Browser::App(program) => match is_on_path(&program) {
                true => Check::ok("browser", format!("{program} (BROWSER)")),
                false => Check::warn(
                    "browser",
                    format!("BROWSER is {program}, which is not there"),
                    "set BROWSER to a program that is, or unset it",
                ),
            },
            Browser::None => Check::warn(
                "browser",
                "there is no display here, so none will be opened",
                "open the printed address elsewhere, and forward the port or paste the address that it ends at",
            ),
        }
    }

    fn loopback(&self) -> Check {
        let redirect = self.profile.and_then(|profile| profile.redirect.clone());
        let bound = LoopbackServer::bind(&ListenOptions { redirect, ..ListenOptions::default() });
        self.check("loopback", bound.map(|server| format!("a browser reaches {}", server.authority())))
    }

    fn network_setup(&self) -> Check {
        let environment = &self.context.environment;
        let mut parts = Vec::new();
        // A proxy's address can hold a password: only that there is one is said.
        parts.extend(
            environment.https_proxy.as_ref().map(|_| "a proxy for https (HTTPS_PROXY or ALL_PROXY)".to_owned()),
        );
        parts.extend(environment.ssl_cert_file.as_ref().map(|file| format!("roots from {}", file.display())));
        let detail = if parts.is_empty() { "no proxy, the system's roots".to_owned() } else { parts.join(", ") };
        self.check("proxy and CA", self.context.http.set_up().map(|()| detail))
    }

    /// One request tells both: whether the provider answers, and what time it is there.
    fn provider_and_clock(&self) -> [Check; 2] {
        if !self.is_known {
            let unknown =
                |name| Check::warn(name, "not asked: the profile cannot be read", "mend the config folder first");
            return [unknown("provider"), unknown("clock")];
        }
        let provider = self.profile.map_or_else(Provider::google, |profile| profile.provider.clone());
        let reached = self.context.http.reach(&provider.token_endpoint);
        let clock = match &reached {
            Ok(Some(theirs)) => clock(self.context.vault.clock.now(), *theirs),
            _ => Check::warn("clock", "not compared: the provider told no time", "set the clock by the network (NTP)"),
        };
        [self.check("provider", reached.map(|_| format!("{} answers", provider.host()))), clock]
    }

    fn grant(&self) -> Check {
        let Some(profile) = self.profile else {
            if !self.is_known {
                return Check::warn("grant", "not known: the profile cannot be read", "mend the config folder first");
            }
            return Check::warn("grant", format!("nobody has signed in as profile {}", self.name), &self.first_login());
        };
        let now = self.context.vault.clock.now();
        if let Some(reason) = &profile.needs_login {
            let ended = Error::GrantEnded { host: profile.provider.host(), refusal: said(reason) };
            let mut check = self.check("grant", Err(ended));
            check.fixes.extend(why_ended(profile, reason, now));
            return check;
        }
        let found = self.context.vault.stored(profile).and_then(|found| {
            let absent = || Error::NoStoredGrant { profile: self.name.to_owned(), store: profile.store.name() };
            found.ok_or_else(absent)
        });
        let age = ago(now.saturating_sub(profile.created_at));
        self.check(
            "grant",
            found.map(|_| format!("{}, signed in {age} ago; it was good when last used", profile.account())),
        )
    }

    /// Without the option, where a client file lies in its place.
    fn first_login(&self) -> String {
        let login = login_line(self.name);
        match self.context.vault.accounts.dir().join("client_secrets.json").exists() {
            true => login,
            false => format!("{login} --client-secrets client_secrets.json"),
        }
    }

    fn check(&self, name: &'static str, outcome: Result<String>) -> Check {
        match outcome {
            Ok(detail) => Check::ok(name, detail),
            Err(error) => {
                let Failure { fact, causes, hints, code } = Failure::of(&error, self.name);
                let detail = std::iter::once(fact).chain(causes).collect::<Vec<_>>().join(": ");
                Check { name, verdict: Verdict::Fail(code), detail, fixes: hints }
            }
        }
    }
}

/// As it stands in the index, where code and description are one text.
fn said(reason: &str) -> gauth::error::Refusal {
    gauth::error::Refusal { error: reason.to_owned(), ..Default::default() }
}

fn kind_of_client(file: &ClientFile, path: &str) -> Check {
    let id = file.client.id.as_str();
    match file.kind {
        ClientKind::Installed => Check::ok("client", format!("{id}, a desktop app ({path})")),
        ClientKind::Web => Check::warn(
            "client",
            format!("{id}, a web application, which has one fixed port ({path})"),
            "create one of type Desktop app in the console, and sign in with its file: gauth login --client-secrets FILE",
        ),
    }
}

/// An ID token is refused where the clocks are a minute apart.
fn clock(ours: u64, theirs: u64) -> Check {
    let apart = ours.abs_diff(theirs);
    let detail = format!("{} {} the provider's", ago(apart), if ours < theirs { "behind" } else { "ahead of" });
    let fix = "set the clock by the network (NTP)".to_owned();
    match apart {
        0..=5 => Check::ok("clock", "as the provider's"),
        6..=60 => Check { name: "clock", verdict: Verdict::Warn, detail, fixes: vec![fix] },
        _ => Check { name: "clock", verdict: Verdict::Fail(crate::failure::exit::FAILED), detail, fixes: vec![fix] },
    }
}

fn is_on_path(program: &str) -> bool {
    let is_there = |path: std::path::PathBuf| path.is_file();
    program.contains(std::path::MAIN_SEPARATOR) && is_there(program.into())
        || crate::environment::search_path().into_iter().any(|dir| is_there(dir.join(program)))
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Check {
        Check { name, verdict: Verdict::Ok, detail: detail.into(), fixes: Vec::new() }
    }

    fn warn(name: &'static str, detail: impl Into<String>, fix: &str) -> Check {
        Check { name, verdict: Verdict::Warn, detail: detail.into(), fixes: vec![fix.to_owned()] }
    }

    fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail(_) => "fail",
        }
    }

    fn json(&self) -> Value {
        json!({ "check": self.name, "status": self.word(), "detail": self.detail, "fix": self.fixes })
    }

    fn lines(&self) -> String {
        let mut lines = format!("{:<5}{:<15}{}", self.word(), self.name, clean(&self.detail));
        for (at, fix) in self.fixes.iter().enumerate() {
            let lead = if at == 0 { "fix:" } else { " or:" };
            let _ = write!(lines, "\n     {:<15}{lead} {}", "", clean(fix));
        }
        lines
    }
}
