//! Userinfo, introspection, revocation, discovery.

use super::*;

fn user_info(idp: &mut Idp, authorization: &str) -> Response {
    idp.handle(&Request::get("/userinfo").with_header("Authorization", authorization), NOW)
}

fn introspect(idp: &mut Idp, token: &str, client: &str, secret: &str) -> Response {
    let form = [("token", token), ("client_id", client), ("client_secret", secret)];
    idp.handle(&Request::post("/introspect", &form), NOW)
}

fn revoke(idp: &mut Idp, token: &str) -> Response {
    let form = [("token", token), ("client_id", "sandbox-installed"), ("client_secret", SECRET)];
    idp.handle(&Request::post("/revoke", &form), NOW)
}

#[test]
fn userinfo_names_the_person_of_the_access_token() {
    let mut idp = idp();
    let answer = tokens(&mut idp);
    let person = user_info(&mut idp, &format!("Bearer {}", text(&answer, "access_token"))).value();
    assert_eq!((text(&person, "email"), text(&person, "name")), (ALICE, "Alice Example"));
    assert_eq!(text(&person, "sub"), super::super::accounts::subject(ALICE));
}

#[test]
fn userinfo_refuses_anything_else() {
    let mut idp = idp();
    let answer = tokens(&mut idp);
    assert_eq!(idp.handle(&Request::get("/userinfo"), NOW).header("WWW-Authenticate"), Some("Bearer"));
    for (header, status) in [
        ("Bearer guess".to_owned(), 401),
        (format!("Basic {}", text(&answer, "access_token")), 401),
        (format!("Bearer {}", text(&answer, "refresh_token")), 401),
    ] {
        assert_eq!(user_info(&mut idp, &header).status, status);
    }
    let in_query = format!("/userinfo?access_token={}", text(&answer, "access_token"));
    assert_eq!(idp.handle(&Request::get(&in_query), NOW).status, 400);
    let code = code_for(&mut idp, &url_with(&[("scope", "email")]));
    let narrow = redeem_with(&mut idp, &code, &[]).value();
    let bearer = format!("Bearer {}", text(&narrow, "access_token"));
    assert_error(&user_info(&mut idp, &bearer), 403, "insufficient_scope");
}

#[test]
fn introspection_tells_a_client_about_its_own_living_tokens_only() {
    let mut idp = idp();
    let answer = tokens(&mut idp);
    for member in ["access_token", "refresh_token"] {
        let told = introspect(&mut idp, text(&answer, member), "sandbox-installed", SECRET).value();
        assert_eq!((&told["active"], text(&told, "scope")), (&true.into(), "openid email profile"));
        let other = introspect(&mut idp, text(&answer, member), "sandbox-no-refresh", "sandbox-secret-two");
        assert_eq!(other.value(), serde_json::json!({ "active": false }));
    }
    let unknown = introspect(&mut idp, "guess", "sandbox-installed", SECRET);
    assert_eq!((unknown.status, unknown.value()), (200, serde_json::json!({ "active": false })));
    assert_error(&introspect(&mut idp, "guess", "sandbox-installed", "wrong"), 401, "invalid_client");
}

#[test]
fn revoking_a_refresh_token_ends_its_access_tokens_too() {
    let mut idp = idp();
    let answer = tokens(&mut idp);
    assert_eq!(revoke(&mut idp, text(&answer, "refresh_token")).status, 200);
    assert!(!idp.is_active(text(&answer, "access_token"), NOW));
    assert_eq!(revoke(&mut idp, text(&answer, "refresh_token")).status, 200, "twice is fine");
}

#[test]
fn revoking_an_access_token_leaves_the_refresh_token() {
    let mut idp = idp();
    let answer = tokens(&mut idp);
    assert_eq!(revoke(&mut idp, text(&answer, "access_token")).status, 200);
    assert!(!idp.is_active(text(&answer, "access_token"), NOW));
    assert!(idp.is_active(text(&answer, "refresh_token"), NOW));
}

#[test]
fn revocation_knows_its_clients_and_shrugs_at_unknown_tokens() {
    let mut idp = idp();
    let answer = tokens(&mut idp);
    assert_eq!(revoke(&mut idp, "guess").status, 200);
    assert_error(&revoke(&mut idp, ""), 400, "invalid_request");
    let form = [("token", text(&answer, "refresh_token")), ("client_id", "sandbox-public")];
    assert_error(&idp.handle(&Request::post("/revoke", &form), NOW), 400, "unauthorized_client");
    assert!(idp.is_active(text(&answer, "refresh_token"), NOW));
    let anonymous = Request::post("/revoke", &[("token", text(&answer, "refresh_token"))]);
    assert_error(&idp.handle(&anonymous, NOW), 401, "invalid_client");
}

#[test]
fn discovery_lists_what_there_is() {
    let response = idp().handle(&Request::get("/.well-known/openid-configuration"), NOW);
    assert_eq!(response.header("Content-Type"), Some("application/json"));
    let document = response.value();
    assert_eq!(text(&document, "issuer"), ISSUER);
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("jwks_uri", "/jwks"),
        ("revocation_endpoint", "/revoke"),
        ("introspection_endpoint", "/introspect"),
        ("userinfo_endpoint", "/userinfo"),
    ] {
        assert_eq!(text(&document, member), format!("{ISSUER}{path}"));
    }
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(document["id_token_signing_alg_values_supported"], serde_json::json!(["ES256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
}

#[test]
fn client_files_have_googles_shape() {
    let idp = idp();
    let file: Value = serde_json::from_str(&idp.client_secrets_json("sandbox-odd-secret")).unwrap();
    let installed = &file["installed"];
    assert_eq!(text(installed, "client_secret"), "a+b/c=d&e%41?f#g:h i");
    assert_eq!(text(installed, "auth_uri"), format!("{ISSUER}/authorize"));
    assert_eq!(text(installed, "token_uri"), format!("{ISSUER}/token"));
    assert_eq!(installed["redirect_uris"], serde_json::json!(["http://localhost"]));
    let public: Value = serde_json::from_str(&idp.client_secrets_json("sandbox-public")).unwrap();
    assert!(public["installed"].get("client_secret").is_none());
}
