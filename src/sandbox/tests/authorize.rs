//! The authorization endpoint: what gets a page, what an error page, what an error redirect.

use super::*;

/// Where the provider sends the browser for this request.
fn redirected(changes: &[(&str, &str)]) -> HashMap<String, String> {
    let mut idp = idp();
    let response = idp.handle(&Request::get(&target(&url_with(changes))), NOW);
    assert_eq!(response.status, 303, "{changes:?}");
    query_of(response.header("Location").unwrap())
}

fn target(url: &str) -> String {
    url.strip_prefix(ISSUER).unwrap().to_owned()
}

fn page(target: &str) -> Response {
    let response = idp().handle(&Request::get(target), NOW);
    assert!(response.header("Location").is_none(), "{target}");
    response
}

#[test]
fn a_good_request_gets_the_sign_in_page_with_strict_headers() {
    let response = page(&target(&url_with(&[])));
    assert_eq!(response.status, 200);
    assert!(response.header("Content-Security-Policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(response.header("Referrer-Policy"), Some("no-referrer"));
    assert_eq!(response.header("Cache-Control"), Some("no-store"));
}

#[test]
fn a_wrong_client_or_redirect_uri_gets_a_page_and_never_a_redirect() {
    for changes in [
        ("client_id", ""),
        ("client_id", "nobody"),
        ("redirect_uri", ""),
        ("redirect_uri", "http://localhost:4711/callback"),
        ("redirect_uri", "https://evil.example.test/"),
        ("redirect_uri", "http://127.0.0.1:4711/#x"),
    ] {
        assert_eq!(page(&target(&url_with(&[changes]))).status, 400, "{changes:?}");
    }
    for again in ["client_id=sandbox-public", "redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2F"] {
        let doubled = format!("{}&{again}", target(&url_with(&[])));
        assert_eq!(page(&doubled).status, 400, "{again}");
    }
}

#[test]
fn localhost_is_fine_only_when_registered() {
    let mut idp = idp();
    let redirect_uris = vec!["http://localhost:4711/callback".to_owned()];
    idp.register(crate::sandbox::Client { redirect_uris, ..crate::sandbox::Client::new("local", None) });
    let url = url_with(&[("client_id", "local"), ("redirect_uri", "http://localhost:4711/callback")]);
    assert!(idp.deny(&url, NOW).starts_with("http://localhost:4711/callback?"));
}

#[test]
fn each_broken_rule_is_told_to_the_client_by_its_code() {
    for (name, value, error) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "form_post", "invalid_request"),
        ("request", "e30.e30.", "request_not_supported"),
        ("request_uri", "https://x.test/", "request_uri_not_supported"),
        ("nonce", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "too-short", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("scope", "", "invalid_scope"),
        ("scope", "openid admin", "invalid_scope"),
        ("access_type", "sometimes", "invalid_request"),
        ("prompt", "none", "login_required"),
        ("prompt", "none consent", "invalid_request"),
        ("prompt", "later", "invalid_request"),
    ] {
        let query = redirected(&[(name, value)]);
        assert_eq!(query["error"], error, "{name}={value}");
        assert_eq!((query["state"].as_str(), query["iss"].as_str()), ("the-state", ISSUER));
        assert!(!query.contains_key("code"));
    }
}

#[test]
fn a_missing_or_repeated_state_is_told_without_a_state() {
    let query = redirected(&[("state", "")]);
    assert_eq!(query["error"], "invalid_request");
    let doubled = format!("{}&state=other", target(&url_with(&[])));
    let response = idp().handle(&Request::get(&doubled), NOW);
    let query = query_of(response.header("Location").unwrap());
    assert!(query["error"] == "invalid_request" && !query.contains_key("state"));
}

#[test]
fn any_repeated_parameter_is_refused_even_an_unknown_one() {
    let doubled = format!("{}&x=1&x=2", target(&url_with(&[])));
    let response = idp().handle(&Request::get(&doubled), NOW);
    assert_eq!(query_of(response.header("Location").unwrap())["error"], "invalid_request");
}

#[test]
fn a_nonce_is_needed_only_with_openid() {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[("nonce", ""), ("scope", "email")]));
    assert!(redeem_with(&mut idp, &code, &[]).value().get("id_token").is_none());
}

#[test]
fn the_redirect_uri_keeps_its_own_query() {
    let back = format!("{BACK}?flow=7");
    let location = idp().deny(&url_with(&[("redirect_uri", &back)]), NOW);
    assert!(location.starts_with(&format!("{back}&")));
}

#[test]
fn a_request_that_names_another_host_is_not_answered() {
    let discovery = Request::get("/.well-known/openid-configuration");
    let ours = discovery.clone().with_header("Host", "127.0.0.1:8090");
    assert_eq!(idp().handle(&ours, NOW).status, 200);
    assert_eq!(idp().handle(&discovery.with_header("Host", "evil.test:8090"), NOW).status, 421);
}

#[test]
fn only_the_listed_methods_are_answered() {
    let mut idp = idp();
    for (method, path, allow) in
        [("POST", "/jwks", "GET"), ("GET", "/token", "POST"), ("DELETE", "/authorize", "GET, POST")]
    {
        let response = idp.handle(&Request { method: method.into(), ..Request::get(path) }, NOW);
        assert_eq!((response.status, response.header("Allow")), (405, Some(allow)));
    }
    assert_eq!(idp.handle(&Request::get("/elsewhere"), NOW).status, 404);
}
