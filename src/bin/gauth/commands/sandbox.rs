//! `gauth sandbox`: the built-in provider on its own, until Ctrl-C.

use std::time::Duration;

use gauth::Error;
use gauth::sandbox::{Config, Sandbox, Settings};

use crate::args;
use crate::commands::on;
use crate::context::Context;
use crate::failure::Failure;

pub fn run(context: &Context, options: &args::Sandbox) -> Result<(), Failure> {
    context.hold_signals();
    let settings = Settings {
        token_ttl: options.token_ttl.as_secs(),
        rotate_refresh_tokens: !options.no_rotation,
        ..Settings::default()
    };
    let sandbox = start(Config { port: options.port, settings }).map_err(on("default"))?;
    let ui = context.ui;
    ui.answer(sandbox.issuer())?;
    ui.say("a sandbox provider is running; anybody may sign in, and nothing it grants is real");
    ui.say(&format!(
        "sign in:  gauth login --profile sandbox --issuer {} --client-id sandbox-public",
        sandbox.issuer()
    ));
    ui.say("stop it:  Ctrl-C");
    while context.interrupt.sleep(Duration::from_secs(3600)).is_ok() {}
    Ok(())
}

/// Starts the provider, or says which port is in the way.
pub fn start(config: Config) -> gauth::Result<Sandbox> {
    let port = config.port;
    Sandbox::start(config).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AddrInUse => Error::PortTaken { port, address: "127.0.0.1".to_owned() },
        _ => Error::NoLoopback(cause.to_string()),
    })
}
