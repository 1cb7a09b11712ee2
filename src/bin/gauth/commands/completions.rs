//! `gauth completions`: the completion script of a shell.

use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::context::Context;
use crate::failure::Failure;

pub fn run(context: &Context, options: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "gauth", &mut script);
    context.ui.answer(String::from_utf8_lossy(&script).trim_end())
}
