//! Properties of the two readers of other people's bytes: a browser's callback and a client file. What holds for any
//! input is asserted here; `fuzz/` goes on from there.

use gauth::ClientFile;
use gauth::client::ClientKind;
use gauth::error::ClientFileProblem;
use gauth::login::callback::{self, Callback, IssuerRule, Stray};
use oauth2::CsrfToken;
use proptest::prelude::*;
use serde_json::{Value, json};
use url::form_urlencoded::{Serializer, byte_serialize};

const STATE: &str = "the-right-state";
const MEMBERS: [&str; 6] = ["client_id", "client_secret", "auth_uri", "token_uri", "redirect_uris", "project_id"];

fn client_file(kind: &str, client_id: &str, secret: &str) -> Value {
    json!({ kind: {
        "client_id": client_id,
        "client_secret": secret,
        "auth_uri": "https://op.example/auth",
        "token_uri": "https://op.example/token",
        "redirect_uris": ["http://127.0.0.1:8085/cb"],
        "project_id": "p",
    }})
}

/// Any JSON, not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "(https?|file|javascript)://[a-z:@/?#]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,12}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn read(target: &str) -> Result<Callback, Stray> {
    let rule = IssuerRule { issuer: "https://op.example".to_owned(), is_promised: false };
    callback::parse(target, "/", &CsrfToken::new(STATE.to_owned()), &rule)
}

fn target(pairs: &[(String, String)]) -> String {
    format!("/?{}", Serializer::new(String::new()).extend_pairs(pairs).finish())
}

/// A parameter that nobody knows.
fn unknown() -> impl Strategy<Value = (String, String)> {
    ("x_[a-z]{1,8}", "\\PC{0,20}")
}

proptest! {
    #[test]
    fn any_text_is_a_client_file_or_says_what_is_wrong_with_it(text in "\\PC{0,400}") {
        let _ = ClientFile::parse(&text);
    }

    #[test]
    fn what_stands_in_a_client_file_is_what_is_read(id in "[!-~]{1,80}", secret in "\\PC{1,80}", is_web in any::<bool>()) {
        let kind = if is_web { "web" } else { "installed" };
        let file = ClientFile::parse(&client_file(kind, &id, &secret).to_string()).expect("a good file");
        prop_assert_eq!(file.client.id.as_str(), &id);
        prop_assert_eq!(file.client.secret.as_ref().map(|secret| secret.secret().as_str()), Some(secret.as_str()));
        prop_assert_eq!(file.kind == ClientKind::Web, is_web);
        let redirect = file.loopback_redirect().expect("a loopback redirect");
        prop_assert_eq!((redirect.host.as_str(), redirect.path.as_str()), ("127.0.0.1", "/cb"));
    }

    #[test]
    fn no_secret_of_a_client_file_is_shown_nor_in_an_error(secret in "[a-zA-Z0-9]{24}", member in 0..MEMBERS.len(), value in any_json()) {
        let mut json = client_file("installed", "id", &secret);
        if MEMBERS[member] != "client_secret" {
            json["installed"][MEMBERS[member]] = value;
        }
        let shown = match ClientFile::parse(&json.to_string()) {
            Ok(file) => format!("{file:?}"),
            Err(problem) => format!("{problem} {problem:?}"),
        };
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }

    #[test]
    fn any_value_of_any_member_is_taken_or_its_member_is_named(member in 0..MEMBERS.len(), value in any_json()) {
        let mut json = client_file("installed", "id", "secret");
        json["installed"][MEMBERS[member]] = value;
        match ClientFile::parse(&json.to_string()) {
            Ok(file) => prop_assert!(!file.client.id.as_str().is_empty()),
            Err(problem) => prop_assert_eq!(problem, ClientFileProblem::Member(MEMBERS[member])),
        }
    }

    #[test]
    fn a_download_that_was_cut_anywhere_is_no_client_file(keep in 0.0..1.0_f64) {
        let text = client_file("installed", "id", "secret").to_string();
        let cut = &text[..(text.len() as f64 * keep) as usize];
        prop_assert!(matches!(ClientFile::parse(cut), Err(ClientFileProblem::Truncated | ClientFileProblem::Empty)));
    }

    #[test]
    fn the_order_of_parameters_and_those_that_nobody_knows_make_no_difference(
        code in "[ -~]{1,60}",
        unknown in prop::collection::vec(unknown(), 0..5),
        seed in any::<u64>(),
    ) {
        let mut pairs = vec![("code".to_owned(), code.clone()), ("state".to_owned(), STATE.to_owned())];
        pairs.extend(unknown);
        let length = pairs.len() as u64;
        pairs.rotate_left((seed % length) as usize);
        match read(&target(&pairs)) {
            Ok(Callback::Code(read)) => prop_assert_eq!(read.into_secret(), code),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_parameter_of_ours_that_comes_twice_is_never_an_answer(
        twice in 0..4_usize,
        value in "[ -~]{0,20}",
        at in 0..4_usize,
    ) {
        let mut pairs = vec![
            ("code".to_owned(), "c".to_owned()),
            ("state".to_owned(), STATE.to_owned()),
            ("iss".to_owned(), "https://op.example".to_owned()),
        ];
        let name = ["code", "state", "iss", "error"][twice];
        if name == "error" {
            pairs.push(("error".to_owned(), "e".to_owned())); // beside a code it is one too many already
        }
        pairs.insert(at.min(pairs.len()), (name.to_owned(), value));
        prop_assert_eq!(read(&target(&pairs)), Err(Stray::NotOurs));
    }

    #[test]
    fn a_state_that_differs_in_any_way_is_not_ours(state in "[ -~]{0,40}", is_error in any::<bool>()) {
        prop_assume!(state != STATE);
        let outcome = if is_error { "error=access_denied" } else { "code=c" };
        let encoded: String = byte_serialize(state.as_bytes()).collect();
        prop_assert_eq!(read(&format!("/?{outcome}&state={encoded}")), Err(Stray::NotOurs));
    }
}
