//! Unanswered sign-ins: programs that start one over and over, with nobody there, must not fill the screen with tabs.

use std::io::IsTerminal;
use std::path::PathBuf;

use crate::context::Context;

/// Whether another tab would be one too many: nobody sits at this command, and the last ones were not answered.
pub fn is_enough(context: &Context) -> bool {
    is_unattended() && recent(context).len() >= LIMIT
}

/// Notes that nobody came. Times only; losing them loses nothing.
pub fn note(context: &Context) {
    if !is_unattended() {
        return;
    }
    let times: Vec<String> =
        recent(context).into_iter().chain([context.vault.clock.now()]).map(|time| time.to_string()).collect();
    let _ = std::fs::write(path(context), times.join("\n") + "\n");
}

/// Somebody came.
pub fn forget(context: &Context) {
    let _ = std::fs::remove_file(path(context));
}

fn is_unattended() -> bool {
    !std::io::stdin().is_terminal() && !std::io::stderr().is_terminal()
}

/// The Unix seconds of those within the last hour. A clock that was stepped back makes none of them recent.
fn recent(context: &Context) -> Vec<u64> {
    let now = context.vault.clock.now();
    let text = std::fs::read_to_string(path(context)).unwrap_or_default();
    let times = text.lines().filter_map(|line| line.parse::<u64>().ok());
    times.filter(|time| now.checked_sub(*time).is_some_and(|age| age < HOUR)).take(LIMIT).collect()
}

fn path(context: &Context) -> PathBuf {
    context.vault.accounts.dir().join("unanswered")
}

const LIMIT: usize = 3;
const HOUR: u64 = 3600;
