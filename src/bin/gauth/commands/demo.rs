//! `gauth demo`: the whole product against the built-in provider.

use crate::args::Demo;
use crate::context::Context;
use crate::failure::Failure;

pub fn run(_context: &Context, _options: &Demo) -> Result<(), Failure> {
    Ok(())
}
