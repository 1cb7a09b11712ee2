//! One file for each command: its story from options to answer.

mod completions;
mod demo;
mod doctor;
mod doors;
mod explain;
mod list;
mod login;
mod logout;
mod man;
mod registration;
mod sandbox;
mod status;
mod switch;
mod token;
mod unanswered;

use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use gauth::Error;

use crate::args::Command;
use crate::context::Context;
use crate::failure::{Failure, exit};
use crate::ui::is_hidden;

/// Runs a command. A failure while the interrupt flag is set is the interrupt.
pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    let outcome = match command {
        Command::Login(options) => login::run(context, &options),
        Command::Token(options) => token::run(context, &options),
        Command::List(options) => list::run(context, &options),
        Command::Status(options) => status::run(context, &options),
        Command::Use(options) => switch::run(context, &options),
        Command::Logout(options) => {
            return logout::run(context, &options).map_err(|failure| or_interrupt(context, failure));
        }
        Command::Doctor(options) => {
            return doctor::run(context, &options).map_err(|failure| or_interrupt(context, failure));
        }
        Command::Demo(options) => demo::run(context, &options),
        Command::Sandbox(options) => sandbox::run(context, &options),
        Command::Completions(options) => completions::run(context, &options),
        Command::Man(options) => man::run(context, &options),
    };
    match outcome {
        Ok(()) if context.interrupt.is_set() => Ok(ExitCode::from(exit::INTERRUPTED)),
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failure) => Err(or_interrupt(context, failure)),
    }
}

fn or_interrupt(context: &Context, failure: Failure) -> Failure {
    if context.interrupt.is_set() { Failure::of(&Error::Interrupted, "default") } else { failure }
}

/// For `map_err`: what a library error means for a person working with this profile.
fn on(profile: &str) -> impl Fn(Error) -> Failure + '_ {
    move |error| Failure::of(&error, profile)
}

/// RFC 3339 in UTC, to the second.
fn rfc3339(unix_seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(unix_seconds.min(YEAR_9999))).to_string()
}

/// "59m 30s": the two largest units.
fn ago(seconds: u64) -> String {
    let text = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// One JSON value and a newline.
fn answer_json(context: &Context, value: &serde_json::Value) -> Result<(), Failure> {
    context.ui.answer(&value.to_string().chars().map(json_escape).collect::<String>())
}

/// JSON leaves C1 controls and invisible marks as they are; outside of strings there are none (L-16).
fn json_escape(c: char) -> String {
    if !is_hidden(c) {
        return c.to_string();
    }
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// The last second that RFC 3339 can write.
const YEAR_9999: u64 = 253_402_300_799;
