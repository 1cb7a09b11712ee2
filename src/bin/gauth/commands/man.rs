//! `gauth man`: the manual pages, made from what `--help` says.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use gauth::Error;

use crate::args::{Cli, Man};
use crate::commands::on;
use crate::context::Context;
use crate::failure::Failure;

pub fn run(context: &Context, options: &Man) -> Result<(), Failure> {
    match &options.dir {
        Some(dir) => write_all(dir).map_err(on("default")),
        None => context.ui.answer(first_page().trim_end()),
    }
}

/// One page for each command.
fn write_all(dir: &Path) -> gauth::Result<()> {
    let failed = |cause: io::Error| Error::Io { action: "write in", path: dir.to_owned(), cause };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), dir).map_err(failed)
}

fn first_page() -> String {
    let mut page = Vec::new();
    let _ = clap_mangen::Man::new(Cli::command().disable_help_subcommand(true)).render(&mut page); // a vector takes everything
    String::from_utf8_lossy(&page).into_owned()
}
