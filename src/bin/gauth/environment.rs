//! The environment: every variable is read here and nowhere else, also those that stand in for options.
#![allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]

use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::{Parser, ValueEnum};
use gauth::StoreKind;

use crate::args::{Cli, Command, Login, duration, port, some_time, store};

/// Reads the command line, and the environment for what it leaves open. An option always wins over its variable.
///
/// # Errors
/// Help, version, and mistakes, as clap shows them.
pub fn parse() -> Result<Cli, clap::Error> {
    let mut cli = plain_token().map_or_else(Cli::try_parse, Ok)?;
    let is_logout_of_all = matches!(&cli.command, Command::Logout(logout) if logout.all);
    let global = &mut cli.global;
    if !is_logout_of_all {
        twin(&mut global.profile, "GAUTH_PROFILE", text_as_is)?;
    }
    if let Some(dir) = &global.config_dir {
        let _ = CONFIG_DIR.set(dir.clone());
    }
    path_twin(&mut global.config_dir, "GAUTH_CONFIG_DIR");
    path_twin(&mut global.runtime_dir, "GAUTH_RUNTIME_DIR");
    word_twin(&mut global.cache, "GAUTH_CACHE")?;
    match &mut cli.command {
        Command::Login(login) => login.complete()?,
        Command::Token(token) if !token.json => {
            word_twin(&mut token.format, "GAUTH_FORMAT")?;
            twin(&mut token.min_ttl, "GAUTH_MIN_TTL", duration)?;
        }
        Command::Token(token) => twin(&mut token.min_ttl, "GAUTH_MIN_TTL", duration)?,
        Command::Demo(demo) => demo.no_browser |= is_on("GAUTH_NO_BROWSER"),
        _ => {}
    }
    Ok(cli)
}

/// `gauth token` and nothing else, as scripts call it over and over: known without clap, whose tables take longer to build
/// than the answer does. A test holds the two together.
fn plain_token() -> Option<Cli> {
    let mut args = env::args_os().skip(1);
    (args.next()? == "token" && args.next().is_none()).then(Cli::plain_token)
}

impl Login {
    fn complete(&mut self) -> Result<(), clap::Error> {
        self.is_client_named = self.client_secrets.is_some() || self.issuer.is_some() || self.client_id.is_some();
        if self.client_id.is_none() {
            path_twin(&mut self.client_secrets, "GAUTH_CLIENT_SECRETS");
        }
        if self.client_secrets.is_none() {
            twin(&mut self.client_id, "GAUTH_CLIENT_ID", text_as_is)?;
        }
        twin(&mut self.issuer, "GAUTH_ISSUER", text_as_is)?;
        twin(&mut self.login_hint, "GAUTH_LOGIN_HINT", text_as_is)?;
        twin(&mut self.hosted_domain, "GAUTH_HOSTED_DOMAIN", text_as_is)?;
        self.no_browser |= self.browser.is_none() && is_on("GAUTH_NO_BROWSER");
        if !self.no_browser {
            twin(&mut self.browser, "GAUTH_BROWSER", text_as_is)?;
        }
        twin(&mut self.port, "GAUTH_PORT", port)?;
        twin(&mut self.bind, "GAUTH_BIND", |text| text.parse().map_err(|_| "it is no IP address".to_owned()))?;
        twin(&mut self.timeout, "GAUTH_TIMEOUT", some_time)?;
        twin(&mut self.store, "GAUTH_STORE", store)?;
        self.check()
    }

    fn check(&self) -> Result<(), clap::Error> {
        match self {
            Login { client_id: Some(_), issuer: None, .. } => Err(usage("--client-id needs --issuer URL")),
            Login { issuer: Some(issuer), client_id: None, client_secrets: None, is_client_named: true, .. } => {
                let line = format!("--issuer needs a client: gauth login --issuer {issuer} --client-id ID");
                Err(usage(&line))
            }
            Login { bind: Some(_), port: None, .. } => Err(usage("--bind needs --port PORT")),
            _ => Ok(()),
        }
    }
}

/// Takes a variable, if it is set and not empty, for an option that was not given.
fn twin<T>(slot: &mut Option<T>, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<(), clap::Error> {
    let Some(value) = env::var_os(name).filter(|value| slot.is_none() && !value.is_empty()) else { return Ok(()) };
    let value = value.to_str().ok_or_else(|| usage(&format!("the variable {name} is not UTF-8 text")))?;
    *slot = Some(read(value).map_err(|problem| usage(&format!("the variable {name} is {value:?}: {problem}")))?);
    Ok(())
}

/// The same for a folder or file, which may have any name.
fn path_twin(slot: &mut Option<PathBuf>, name: &str) {
    *slot = slot.take().or_else(|| path(name));
}

/// The same for one of a few words.
fn word_twin<T: ValueEnum>(slot: &mut Option<T>, name: &str) -> Result<(), clap::Error> {
    let words: Vec<String> =
        T::value_variants().iter().filter_map(|word| Some(word.to_possible_value()?.get_name().to_owned())).collect();
    twin(slot, name, |text| T::from_str(text, true).map_err(|_| format!("it is one of {}", words.join(", "))))
}

fn usage(problem: &str) -> clap::Error {
    <Cli as clap::CommandFactory>::command().error(clap::error::ErrorKind::ValueValidation, problem)
}

#[allow(clippy::unnecessary_wraps, reason = "one shape for all readers of variables")]
fn text_as_is(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn is_on(name: &str) -> bool {
    text(name)
        .is_some_and(|value| !["0", "n", "no", "f", "false", "off"].contains(&value.to_ascii_lowercase().as_str()))
}

/// The folder that was named as an option: hints have to name it as well. A variable is still set when they are followed.
static CONFIG_DIR: OnceLock<PathBuf> = OnceLock::new();

/// A command of gauth for this profile, in the same config folder, as a person has to type it.
pub fn line(verb: &str, profile: &str) -> String {
    let dir = CONFIG_DIR.get().map(|dir| format!(" --config-dir {}", quoted(&dir.to_string_lossy())));
    let profile = (profile != "default").then(|| format!(" --profile {profile}"));
    format!("gauth {verb}{}{}", dir.unwrap_or_default(), profile.unwrap_or_default())
}

/// This command as it was typed, for hints that are to be followed literally; what only changes its output is left out.
pub fn typed() -> String {
    let typed = env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .filter(|arg| !["--json", "-q", "--quiet", "-v", "-vv", "--verbose"].contains(&arg.as_str()));
    std::iter::once("gauth".to_owned()).chain(typed.map(|arg| quoted(&arg))).collect::<Vec<_>>().join(" ")
}

/// For a POSIX shell, where it needs quotes.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-:@%+=,~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// What the environment says, besides the twins of options.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub home: Option<PathBuf>,
    pub xdg_config_home: Option<PathBuf>,
    pub ssl_cert_file: Option<PathBuf>,
    pub https_proxy: Option<String>,
    pub no_proxy: Option<String>,
    pub no_color: bool,
    pub term_is_dumb: bool,
    pub is_ssh: bool,
    pub has_display: bool,
    pub has_browser: bool,
    /// `GAUTH_STORE`, for those commands that have no option for it.
    pub store: Option<StoreKind>,
    /// `BROWSER`, if it is one program and nothing else.
    pub plain_browser: Option<String>,
}

impl Environment {
    pub fn read() -> Environment {
        Environment {
            home: home(),
            xdg_config_home: path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()),
            ssl_cert_file: path("SSL_CERT_FILE"),
            https_proxy: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            no_proxy: first(&["NO_PROXY", "no_proxy"]),
            no_color: text("NO_COLOR").is_some(),
            term_is_dumb: text("TERM").is_some_and(|term| term == "dumb"),
            is_ssh: text("SSH_CONNECTION").is_some(),
            has_display: cfg!(any(windows, target_os = "macos"))
                || first(&["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"]).is_some(),
            has_browser: text("BROWSER").is_some(),
            store: text("GAUTH_STORE").and_then(|name| store(&name).ok()),
            plain_browser: text("BROWSER").filter(|browser| !browser.contains([':', '%', ' '])),
        }
    }
}

/// The folders of programs.
pub fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

fn home() -> Option<PathBuf> {
    #[allow(deprecated, reason = "right again since Rust 1.85; asks the system where the variable is missing")]
    env::home_dir().filter(|home| home.is_absolute())
}

/// `user@host` of this machine, as an SSH client would name it.
/// `SSH_CONNECTION` is "client-address client-port server-address server-port". Without it, the name that this machine
/// has for itself must do.
pub fn ssh_destination() -> String {
    let server = text("SSH_CONNECTION").and_then(|connection| connection.split(' ').nth(2).map(str::to_owned));
    let server = server.unwrap_or_else(own_name);
    first(&["USER", "LOGNAME"]).map_or(server.clone(), |user| format!("{user}@{server}"))
}

#[cfg(unix)]
fn own_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn own_name() -> String {
    text("COMPUTERNAME").unwrap_or_else(|| "this-machine".to_owned())
}

/// A variable that is set and not empty.
fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn first(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| text(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_quoted_for_a_shell_where_it_must_be() {
        assert_eq!(quoted("--scope=drive.readonly"), "--scope=drive.readonly");
        assert_eq!(quoted("my file's; rm"), r"'my file'\''s; rm'");
        assert_eq!(quoted(""), "''");
    }
}
