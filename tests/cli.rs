//! The program's words as files: every help text, and every failure that needs no server, with what goes to stdout and
//! to stderr and the exit code.
//!
//! The cases are `tests/cmd/*.toml`; each runs in a copy of `tests/cmd/files`, with an environment of its own: no home,
//! no keyring, no display. After a change that was meant, write the snapshots anew and read the difference:
//!
//! ```sh
//! TRYCMD=overwrite cargo test --test cli && git diff tests/cmd
//! ```
#![cfg(feature = "cli")]

use trycmd::TestCases;

#[test]
fn every_help_text_and_every_failure_without_a_server_is_as_it_was_read_and_agreed() {
    TestCases::new().case("tests/cmd/*.toml");
}

/// Elsewhere the keyring is the person's own, which no test may touch.
#[test]
#[cfg(target_os = "linux")]
fn a_session_without_a_keyring_is_told_both_ways_out() {
    TestCases::new().case("tests/cmd/linux/*.toml");
}
