//! Any request target: no panic, nothing taken without the right state, no code without a promised issuer.
#![no_main]

use gauth::login::callback::{Callback, IssuerRule, parse};
use gauth::login::paste::request_target;
use libfuzzer_sys::fuzz_target;
use oauth2::CsrfToken;

fuzz_target!(|input: (bool, &str)| {
    let (is_promised, text) = input;
    let rule = IssuerRule { issuer: "https://op.example".to_owned(), is_promised };
    let read = |target: &str| parse(target, "/cb", &CsrfToken::new("5tate".to_owned()), &rule);
    let may_have = |word| text.contains(word) || text.contains('%');
    assert!(read(text).is_err() || (text.starts_with("/cb?") && may_have("5tate")));
    if let Ok(target) = request_target(text, "127.0.0.1:1", "/cb") {
        assert!(text.contains("127.0.0.1:1") || target.starts_with("/cb?"));
        assert!(read(&target).is_err() || may_have("5tate"));
    }
    if let Ok(Callback::Code(_)) = read(&format!("/cb?state=5tate&{text}")) {
        assert!(may_have("code") && (!is_promised || (may_have("iss") && may_have("op.example"))));
    }
});
