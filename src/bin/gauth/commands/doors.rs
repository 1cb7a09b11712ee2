//! The three doors of a sign-in: the browser that is opened, the address that is printed, the address that is pasted.

use std::net::IpAddr;

use gauth::login::{InstalledAppFlow, Opening};
use gauth::{Browser, Result};

use crate::args::Login;
use crate::commands::login::Request;
use crate::commands::unanswered;
use crate::context::Context;
use crate::environment::{Environment, ssh_destination};
use crate::ui::clean;

/// Prints the address, opens the browser, and says how to get here from another machine.
pub fn show(
    context: &Context,
    options: &Login,
    request: &Request<'_>,
    flow: &InstalledAppFlow<'_>,
) -> Result<Option<PasteReader>> {
    let ui = context.ui;
    let provider = &request.registration.provider;
    if !provider.has_keys() {
        let hosts =
            [&provider.authorization_endpoint, &provider.token_endpoint].map(|url| url.host_str().unwrap_or_default());
        ui.warn(&format!(
            "no published keys are known: signing in at {} with tokens from {}; the ID token rests on that connection alone",
            hosts[0], hosts[1]
        ));
    }
    if options.bind.is_some_and(|address: IpAddr| !address.is_loopback()) {
        ui.warn("listening beyond this machine: others on the network can reach the sign-in's port");
    }
    ui.say("To sign in, open this address in your browser (only if you started this yourself):");
    ui.say("");
    write_address(context, flow.url().as_str());
    ui.say("");
    let environment = &context.environment;
    if environment.is_ssh || !(environment.has_display || environment.has_browser) {
        ui.say("Is the browser on another machine? Run this there first, and leave it running:");
        ui.say(&format!("  {} {}", forwarding(flow.authority()), clean(&ssh_destination())));
    }
    let reader = read_pasted(context, flow);
    if reader.is_some() {
        ui.say("Or paste here the address that the browser ended at, and press Enter; it is not shown.");
    }
    if unanswered::is_enough(context) {
        ui.warn("nobody answered the last three sign-ins, so no browser is opened: open the address yourself, or run gauth login in a terminal");
        return Ok(reader);
    }
    match browser(context, options).open(flow.url())? {
        Opening::Failed(cause) => ui.warn(&format!("no browser could be opened ({cause}); open the address yourself")),
        Opening::NotWanted if !options.no_browser => ui.say("(there is no display here, so no browser was opened)"),
        Opening::Started | Opening::NotWanted => {}
    }
    Ok(reader)
}

#[cfg(unix)]
type PasteReader = crate::terminal::HiddenLines;
#[cfg(not(unix))]
type PasteReader = std::convert::Infallible;

/// The third door, on a terminal: the person is asked again until an address is the right one (L-26).
#[cfg(unix)]
fn read_pasted(context: &Context, flow: &InstalledAppFlow<'_>) -> Option<PasteReader> {
    let (ui, door) = (context.ui, flow.paste_door());
    let is_seen = std::io::IsTerminal::is_terminal(&std::io::stderr()); // that keys are not shown
    if !is_seen || is_of_the_terminal(context) {
        return None;
    }
    PasteReader::read(move |line| {
        let text = String::from_utf8_lossy(line.secret());
        if !text.trim().is_empty() && door.offer(&text).is_err() {
            ui.interject(
                "that is not the address this sign-in ends at: copy the whole line from the browser, and paste again",
            );
        }
    })
}

/// Browsers that take the keys of this terminal for themselves.
#[cfg(unix)]
fn is_of_the_terminal(context: &Context) -> bool {
    const THOSE: [&str; 7] = ["w3m", "lynx", "links", "links2", "elinks", "netrik", "browsh"];
    let browser = context.environment.plain_browser.as_deref().unwrap_or_default();
    THOSE.contains(&browser.rsplit('/').next().unwrap_or_default())
}

/// Elsewhere there is no way yet to read without showing.
#[cfg(not(unix))]
fn read_pasted(_: &Context, _: &InstalledAppFlow<'_>) -> Option<PasteReader> {
    None
}

/// The same port on the other machine leads here; brackets are quoted, since some shells read them as a pattern.
fn forwarding(authority: &str) -> String {
    match authority.rsplit_once(':') {
        Some((host, _)) if host.starts_with('[') => format!("ssh -L '{authority}:{authority}'"),
        Some((_, port)) => format!("ssh -L {port}:{authority}"),
        None => format!("ssh -L {authority}"),
    }
}

/// The address is the one thing that even `--quiet` must show: without it nobody can sign in.
fn write_address(context: &Context, address: &str) {
    crate::ui::Ui { quiet: false, ..context.ui }.say(&format!("  {address}"));
}

fn browser(context: &Context, options: &Login) -> Browser {
    match &options.browser {
        _ if options.no_browser => Browser::None,
        Some(name) => Browser::App(name.clone()),
        None => own_browser(&context.environment),
    }
}

/// The browser of this session.
pub fn own_browser(environment: &Environment) -> Browser {
    match &environment.plain_browser {
        // Started here, so that its failing at once is noticed; a list or a template is for webbrowser to read.
        Some(program) => Browser::App(program.clone()),
        None if environment.has_browser || environment.has_display => Browser::Default,
        None => Browser::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forwarding_line_leads_to_the_family_that_is_listened_on() {
        assert_eq!(forwarding("127.0.0.1:4711"), "ssh -L 4711:127.0.0.1:4711");
        assert_eq!(forwarding("[::1]:4711"), "ssh -L '[::1]:4711:[::1]:4711'");
    }
}
