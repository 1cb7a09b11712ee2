//! What tokens are good for, and their end: userinfo, introspection, revocation.

use serde_json::{Value, json};

use super::accounts;
use super::clients::Client;
use super::idp::Idp;
use super::message::{Refusal, Request, Response};
use super::params::Params;

impl Idp {
    /// OpenID Connect Core section 5.3, errors by RFC 6750 section 3.
    pub(super) fn user_info(&self, request: &Request, now: u64) -> Response {
        if !request.query.is_empty() {
            return bearer_error(400, "invalid_request");
        }
        let Some(token) = bearer_token(request) else {
            return Response::private_json(401, &json!({})).with("WWW-Authenticate", "Bearer");
        };
        let Some(access) = self.grants.access(token, now) else { return bearer_error(401, "invalid_token") };
        if !accounts::covers(&access.scopes, "openid") {
            return bearer_error(403, "insufficient_scope");
        }
        let account = &self.grants.grant(access.grant).account;
        let claims = accounts::claims(account, &access.scopes, self.settings.google_shaped);
        Response::private_json(200, &Value::Object(claims))
    }

    /// RFC 7662: a token that is dead, unknown or another client's is `{"active": false}`.
    pub(super) fn introspect(&self, request: &Request, now: u64) -> Response {
        match self.try_introspect(request, now) {
            Ok(answer) => Response::private_json(200, &answer),
            Err(refusal) => self.refusal(refusal),
        }
    }

    fn try_introspect(&self, request: &Request, now: u64) -> Result<Value, Refusal> {
        let form = Params::of_form(request)?;
        let client = self.authenticate(request, &form)?;
        let token = form.require("token", "token is missing")?;
        let answer = self.describe_access(token, &client, now).or_else(|| self.describe_refresh(token, &client));
        Ok(answer.unwrap_or(json!({ "active": false })))
    }

    fn describe_access(&self, token: &str, client: &Client, now: u64) -> Option<Value> {
        let access = self.grants.access(token, now)?;
        let grant = self.grants.grant(access.grant);
        (grant.client_id == client.id).then(|| {
            json!({
                "active": true,
                "iss": self.issuer,
                "client_id": client.id,
                "sub": accounts::subject(&grant.account),
                "scope": access.scopes.join(" "),
                "token_type": "Bearer",
                "exp": access.expires_at,
            })
        })
    }

    fn describe_refresh(&self, token: &str, client: &Client) -> Option<Value> {
        let grant = self.grants.grant(self.grants.active_refresh(token)?);
        (grant.client_id == client.id).then(|| {
            json!({
                "active": true,
                "iss": self.issuer,
                "client_id": client.id,
                "sub": accounts::subject(&grant.account),
                "scope": grant.scopes.join(" "),
            })
        })
    }

    /// RFC 7009.
    pub(super) fn revoke(&mut self, request: &Request, now: u64) -> Response {
        match self.try_revoke(request, now) {
            Ok(()) => Response::private_json(200, &json!({})),
            Err(refusal) => self.refusal(refusal),
        }
    }

    fn try_revoke(&mut self, request: &Request, now: u64) -> Result<(), Refusal> {
        let form = Params::of_form(request)?;
        let client = self.revoking_client(request, &form)?;
        let token = form.require("token", "token is missing")?;
        if self.settings.google_shaped && !self.is_active(token, now) {
            return Err(Refusal::new("invalid_token", "Token expired or revoked"));
        }
        // An unknown token is as good as a revoked one (section 2.2).
        let Some(grant) = self.grants.owner(token) else { return Ok(()) };
        if client.is_some_and(|client| client.id != self.grants.grant(grant).client_id) {
            return Err(Refusal::new("unauthorized_client", "the token belongs to another client"));
        }
        // A refresh token takes its access tokens with it (section 2.1); at Google either takes everything.
        if self.grants.is_refresh(token) || self.settings.google_shaped {
            self.grants.end(grant);
        } else {
            self.grants.forget_access(token);
        }
        Ok(())
    }

    /// Google asks for no client here: whoever holds a token may end it (requirement G-35).
    fn revoking_client(&self, request: &Request, form: &Params) -> Result<Option<Client>, Refusal> {
        let is_anonymous = form.get("client_id").is_none() && request.header("Authorization").is_none();
        if self.settings.google_shaped && is_anonymous {
            return Ok(None);
        }
        self.authenticate(request, form).map(Some)
    }
}

/// The token of a request with exactly one `Authorization: Bearer` (RFC 6750 section 2.1).
fn bearer_token(request: &Request) -> Option<&str> {
    let mut headers = request.headers_named("Authorization");
    let (scheme, token) = headers.next()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("Bearer") && headers.next().is_none()).then_some(token)
}

fn bearer_error(status: u16, error: &str) -> Response {
    let challenge = format!("Bearer error=\"{error}\"");
    Response::private_json(status, &json!({ "error": error })).with("WWW-Authenticate", &challenge)
}
