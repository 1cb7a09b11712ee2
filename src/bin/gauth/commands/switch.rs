//! `gauth use`: chooses the default profile.

use gauth::Error;
use gauth::accounts::check_profile_name;

use crate::args::Use;
use crate::commands::on;
use crate::context::Context;
use crate::failure::Failure;

pub fn run(context: &Context, options: &Use) -> Result<(), Failure> {
    let name = &options.name;
    check_profile_name(name).map_err(on("default"))?;
    context
        .vault
        .accounts
        .update(|index| match index.profiles.contains_key(name) {
            true => {
                index.default = Some(name.clone());
                Ok(())
            }
            false => {
                Err(Error::NoSuchProfile { profile: name.clone(), others: index.profiles.keys().cloned().collect() })
            }
        })
        .map_err(on(name))?;
    context.ui.say(&format!("commands without --profile now use {}", context.ui.bold(name)));
    Ok(())
}
