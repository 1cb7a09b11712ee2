//! The command line's words: every option, what it takes, and how it is explained.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gauth::StoreKind;

/// Sign in to Google, or any OpenID provider, and use fresh access tokens.
///
/// The refresh token is kept in the operating system's keyring; nothing long-lived is written to a file, unless --store
/// file asks for it. A variable in brackets stands in for an option that is not given.
#[derive(Debug, Parser)]
#[command(name = "gauth", version, max_term_width = 100, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What `gauth token` without any option is parsed as.
    pub fn plain_token() -> Cli {
        Cli { global: Global::default(), command: Command::Token(Token::default()) }
    }
}

const EXAMPLES: &str = "Examples:
  gauth demo                                         see it work, with nothing to configure
  gauth login --client-secrets client_secrets.json   sign in
  gauth token --format curl | curl --config - URL    use a fresh token
  gauth logout                                       end the grant and forget it";

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The profile to use [default: the one set by `gauth use`, or else "default"] [env: GAUTH_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Colour in messages
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// Say on stderr what is asked of whom (never a secret)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing on stderr but warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Folder of the profile index [default: the system's place for configuration] [env: GAUTH_CONFIG_DIR]
    #[arg(long, global = true, value_name = "DIR", hide_short_help = true)]
    pub config_dir: Option<PathBuf>,
    /// Folder in RAM for access tokens [default: /run/user/UID] [env: GAUTH_RUNTIME_DIR]
    #[arg(long, global = true, value_name = "DIR", hide_short_help = true)]
    pub runtime_dir: Option<PathBuf>,
    /// Whether access tokens are kept in that folder; "off" keeps them only in the store [default: on] [env: GAUTH_CACHE]
    #[arg(long, global = true, value_enum, value_name = "WHEN", hide_short_help = true)]
    pub cache: Option<Switch>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign in through the browser and keep the grant
    Login(Box<Login>),
    /// Print a fresh access token
    Token(Token),
    /// List the profiles
    ///
    /// "*" marks the one that is used when none is named.
    #[command(after_help = "Example:\n  gauth list --json")]
    List(Json),
    /// Show one profile: who, what was granted, how long the token lives
    #[command(after_help = "Example:\n  gauth status --profile work")]
    Status(Json),
    /// Choose the profile that commands use when none is named
    #[command(after_help = "Example:\n  gauth use work")]
    Use(Use),
    /// Revoke the grant at the provider and forget it here
    Logout(Logout),
    /// Look at all that a sign-in and a token need, and say how to mend what is wrong
    ///
    /// Each check is ok, warn or fail. Nothing is changed, and the refresh token is not used. The exit code is the one of the
    /// first check that fails.
    #[command(after_help = "Example:\n  gauth doctor --profile work")]
    Doctor(Json),
    /// Try everything against the built-in provider; nothing to configure, nothing is left behind
    #[command(after_help = "Example:\n  gauth demo --no-browser")]
    Demo(Demo),
    /// Run the built-in provider on its own, for trying and testing, until Ctrl-C
    #[command(after_help = "Example:\n  gauth sandbox --port 9000 --token-ttl 60s")]
    Sandbox(Sandbox),
    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  gauth completions bash > ~/.local/share/bash-completion/completions/gauth")]
    Completions(Completions),
    /// Print the manual page, or write those of all commands into a folder
    #[command(after_help = "Examples:\n  gauth man | man -l -\n  gauth man ~/.local/share/man/man1")]
    Man(Man),
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gauth login --client-secrets client_secrets.json --scope drive.readonly
  gauth login --issuer https://login.example.com --client-id my-client --profile work
  gauth login                     again, with the client that the profile remembers")]
pub struct Login {
    /// A client file in the form of Google's console, also for another provider's client
    /// [default: the profile's client, or client_secrets.json in the config folder] [env: GAUTH_CLIENT_SECRETS]
    #[arg(long, value_name = "FILE")]
    pub client_secrets: Option<PathBuf>,
    /// An OpenID provider, found by discovery [env: GAUTH_ISSUER]
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// The client's id at that provider, for a client without a secret [env: GAUTH_CLIENT_ID]
    #[arg(long, value_name = "ID", conflicts_with = "client_secrets")]
    pub client_id: Option<String>,
    /// Ask for this scope as well as openid and email; Google's short names will do. Without this option, signing in
    /// again asks for what the profile has [repeatable]
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    pub scope: Vec<String>,
    /// Ask for all that is granted already, and this scope [repeatable]
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    pub add_scope: Vec<String>,
    /// The account that is to sign in; any other is refused [env: GAUTH_LOGIN_HINT]
    #[arg(long, value_name = "EMAIL")]
    pub login_hint: Option<String>,
    /// The Workspace domain of the account; "*" for any [env: GAUTH_HOSTED_DOMAIN]
    #[arg(long, value_name = "DOMAIN")]
    pub hosted_domain: Option<String>,
    /// What the provider's page is to ask: consent, select_account, none
    #[arg(long, value_name = "PROMPT", overrides_with = "prompt")]
    pub prompt: Option<String>,
    /// A further parameter for the provider's page [repeatable]
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub auth_param: Vec<(String, String)>,
    /// Print the address, open no browser [env: GAUTH_NO_BROWSER]
    #[arg(long)]
    pub no_browser: bool,
    /// Open this browser instead of the default one [env: GAUTH_BROWSER]
    #[arg(long, value_name = "PROGRAM", conflicts_with = "no_browser")]
    pub browser: Option<String>,
    /// Listen on this port [default: a free one] [env: GAUTH_PORT]
    #[arg(long, value_name = "PORT", value_parser = port)]
    pub port: Option<u16>,
    /// Listen on this address, for containers; needs --port, and the browser still comes to 127.0.0.1 [env: GAUTH_BIND]
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<IpAddr>,
    /// How long to wait for the browser [default: 5m] [env: GAUTH_TIMEOUT]
    #[arg(long, value_name = "DURATION", value_parser = some_time)]
    pub timeout: Option<Duration>,
    /// Where the refresh token is kept: "keyring", or "file" (plain text, mode 0600) [default: keyring] [env: GAUTH_STORE]
    #[arg(long, value_name = "STORE", value_parser = store, overrides_with = "store")]
    pub store: Option<StoreKind>,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
    /// Whether an option, and not only a variable, names the client.
    #[arg(skip)]
    pub is_client_named: bool,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  gauth token --format curl | curl --config - https://openidconnect.googleapis.com/v1/userinfo
  TOKEN=$(gauth token) || exit                          in a script
  gauth token --scope drive.readonly --min-ttl 30m")]
pub struct Token {
    /// Only these scopes, narrower than the grant; exit code 4 if it does not cover them [repeatable]
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    pub scope: Vec<String>,
    /// Life that the token must have left, or it is refreshed
    /// [default: 5m, or half its life for one that never lives so long] [env: GAUTH_MIN_TTL]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub min_ttl: Option<Duration>,
    /// Refresh even a token that is good
    #[arg(long)]
    pub force_refresh: bool,
    /// The form of the answer [default: token] [env: GAUTH_FORMAT]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The token alone
    Token,
    /// One object with the token, its end, scopes and account
    Json,
    /// An Authorization header
    Header,
    /// A line for `curl --config -`
    Curl,
}

#[derive(Clone, Debug, Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Use {
    /// The profile
    #[arg(value_name = "PROFILE")]
    pub name: String,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  gauth logout\n  gauth logout --profile work --local-only")]
pub struct Logout {
    /// Every profile
    #[arg(long, conflicts_with = "profile")]
    pub all: bool,
    /// Forget it here; the grant lives on at the provider
    #[arg(long)]
    pub local_only: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Consent without a browser [env: GAUTH_NO_BROWSER]
    #[arg(long)]
    pub no_browser: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Sandbox {
    /// Listen on this port of 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Life of its access tokens
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = some_time)]
    pub token_ttl: Duration,
    /// Keep the refresh token the same on every refresh
    #[arg(long)]
    pub no_rotation: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Clone, Debug, Args)]
pub struct Man {
    /// Where to write gauth.1, gauth-login.1 and so on
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `90s`, `5m`, `1h30m`, or plain seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text).map_err(|_| "write it as 90s, 5m or 1h".to_owned())
}

pub fn some_time(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(365 * 86_400);
    match duration(text)? {
        time if time.is_zero() => Err("it must be more than nothing".to_owned()),
        time if time > LONGEST => Err("it can be a year at most".to_owned()),
        time => Ok(time),
    }
}

pub fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| "it is a number from 1 to 65535".to_owned())
}

/// No scope has a comma, but people write lists with commas, and the provider's page would be the first to complain.
pub fn scope(text: &str) -> Result<String, String> {
    if text.contains(',') { Err("repeat the option for each scope".to_owned()) } else { Ok(text.to_owned()) }
}

pub fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Memory is for demos and tests, not for people.
pub fn store(text: &str) -> Result<StoreKind, String> {
    match text {
        "keyring" => Ok(StoreKind::Keyring),
        "file" => Ok(StoreKind::File),
        _ => Err("it is \"keyring\" or \"file\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
        let _: Cli = Cli::try_parse_from(["gauth", "token", "--profile", "work"]).expect("parsed");
    }

    #[test]
    fn the_short_cut_for_a_plain_token_says_what_the_parser_says() {
        let parsed: Cli = Cli::try_parse_from(["gauth", "token"]).expect("parsed");
        assert_eq!(format!("{:?}", Cli::plain_token()), format!("{parsed:?}"));
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("45", 45), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert!(duration("soon").is_err() && duration("-5s").is_err() && duration("").is_err());
    }

    #[test]
    fn no_option_takes_a_secret() {
        let command = <Cli as clap::CommandFactory>::command();
        let options = command.get_subcommands().flat_map(clap::Command::get_arguments).map(|arg| arg.get_id().as_str());
        for option in options {
            assert!(!["client_secret", "password", "refresh_token", "access_token"].contains(&option), "{option}");
        }
    }
}
