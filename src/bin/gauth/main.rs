//! The `gauth` program: parse, build the context, run the command, turn its outcome into an exit code.

mod args;
mod commands;
mod context;
mod environment;
mod failure;
#[cfg(test)]
mod failure_snapshot;
mod signals;
#[cfg(unix)]
mod terminal;
mod ui;

use std::process::ExitCode;

use crate::context::Context;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::ui::Ui;

fn main() -> ExitCode {
    keep_memory_private();
    let cli = match environment::parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let environment = Environment::read();
    let ui = Ui::new(&cli.global, &environment);
    match run(cli, environment) {
        Ok(code) => code,
        Err(failure) => {
            ui.fail(&failure);
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: args::Cli, environment: Environment) -> Result<ExitCode, Failure> {
    let context = Context::new(&cli.global, environment).map_err(|error| Failure::of(&error, "default"))?;
    commands::run(&context, cli.command)
}

/// Help and version are answers; anything else is exit code 2. A closed pipe is ignored.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// No core dumps, and no reading of this process's memory by others of the same user (L-19). Not inherited by what is
/// started.
#[cfg(target_os = "linux")]
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// macOS writes no core files unless an administrator asked for them; Windows reports need the person's consent.
#[cfg(not(target_os = "linux"))]
fn keep_memory_private() {}
