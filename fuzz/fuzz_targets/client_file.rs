//! Any text as a client file: no panic, and a file that is taken has what a client needs.
#![no_main]

use gauth::ClientFile;
use gauth::client::ClientKind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(file) = ClientFile::parse(text) {
        assert!(!file.client.id.as_str().is_empty());
        assert!(file.kind == ClientKind::Installed || file.loopback_redirect().is_some());
    }
});
