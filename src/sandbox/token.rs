//! The token endpoint (RFC 6749 sections 4.1.3, 5 and 6).

use serde_json::{Map, Value, json};

use super::accounts;
use super::clients::{self, Client, MISSING_SECRET};
use super::grants::{Code, GrantId};
use super::idp::Idp;
use super::jwt;
use super::log::IssuedKind;
use super::message::{Refusal, Request, Response};
use super::params::Params;

/// What an answer is made of.
struct Parts {
    grant: GrantId,
    scopes: Vec<String>,
    nonce: Option<String>,
    refresh_token: bool,
}

impl Idp {
    pub(super) fn token(&mut self, request: &Request, now: u64) -> Response {
        match self.try_token(request, now) {
            Ok(answer) => Response::private_json(200, &Value::Object(answer)),
            Err(refusal) => self.refusal(refusal),
        }
    }

    fn try_token(&mut self, request: &Request, now: u64) -> Result<Map<String, Value>, Refusal> {
        let form = Params::of_form(request)?;
        let client = self.authenticate(request, &form)?;
        match form.require("grant_type", "grant_type is missing")? {
            "authorization_code" => self.redeem_code(&client, &form, now),
            "refresh_token" => self.refresh(&client, &form, now),
            _ => Err(Refusal::new("unsupported_grant_type", "only authorization_code and refresh_token")),
        }
    }

    pub(super) fn authenticate(&self, request: &Request, form: &Params) -> Result<Client, Refusal> {
        clients::authenticate(&self.clients, request, form).cloned()
    }

    /// Google words a missing secret in its own way (requirement G-3).
    pub(super) fn refusal(&self, refusal: Refusal) -> Response {
        if self.settings.google_shaped && refusal.description == MISSING_SECRET {
            return Refusal::invalid_request(MISSING_SECRET).into();
        }
        refusal.into()
    }

    fn redeem_code(&mut self, client: &Client, form: &Params, now: u64) -> Result<Map<String, Value>, Refusal> {
        let value = form.require("code", "code is missing")?;
        let redirect_uri = form.require("redirect_uri", "redirect_uri is missing")?;
        let code_verifier = form.require("code_verifier", "code_verifier is missing")?;
        if !is_verifier(code_verifier) {
            return Err(Refusal::invalid_request("code_verifier is malformed"));
        }
        let code = self.grants.take_code(value, &client.id, now)?;
        code.check(redirect_uri, code_verifier)?;
        let grant = self.grants.open(value, &code);
        let Code { scopes, nonce, offline: refresh_token, .. } = code;
        self.answer(Parts { grant, scopes, nonce, refresh_token }, now)
    }

    fn refresh(&mut self, client: &Client, form: &Params, now: u64) -> Result<Map<String, Value>, Refusal> {
        let value = form.require("refresh_token", "refresh_token is missing")?;
        let grant = self.grants.of_refresh(value, &client.id)?;
        let granted = self.grants.grant(grant).scopes.clone();
        let scopes = narrowed(granted, form.get("scope"))?;
        let refresh_token = self.settings.rotate_refresh_tokens;
        if refresh_token {
            self.grants.retire(value);
        }
        self.answer(Parts { grant, scopes, nonce: None, refresh_token }, now)
    }

    /// RFC 6749 section 5.1; only `openid` opens an ID token (OpenID Connect Core section 3.1.2.1).
    fn answer(&mut self, parts: Parts, now: u64) -> Result<Map<String, Value>, Refusal> {
        let ttl = self.settings.token_ttl;
        let access_token = self.grants.add_access(parts.grant, parts.scopes.clone(), now + ttl);
        self.log.issued(IssuedKind::AccessToken, &access_token);
        let mut answer = Map::new();
        if accounts::covers(&parts.scopes, "openid") {
            answer.insert("id_token".into(), self.id_token(&parts, &access_token, now)?.into());
        }
        if parts.refresh_token {
            let refresh_token = self.grants.add_refresh(parts.grant);
            self.log.issued(IssuedKind::RefreshToken, &refresh_token);
            answer.insert("refresh_token".into(), refresh_token.into());
        }
        let scope = accounts::spelled(&parts.scopes, self.settings.google_shaped);
        answer.insert("access_token".into(), access_token.into());
        answer.insert("token_type".into(), "Bearer".into());
        answer.insert("expires_in".into(), ttl.into());
        answer.insert("scope".into(), scope.into());
        Ok(answer)
    }

    fn id_token(&mut self, parts: &Parts, access_token: &str, now: u64) -> Result<String, Refusal> {
        let claims = self.id_token_claims(parts, access_token, now);
        let id_token = self.keys.sign(claims, self.faults.for_id_token().as_ref());
        let id_token = id_token.ok_or(Refusal::server_error("the ID token cannot be signed"))?;
        self.log.issued(IssuedKind::IdToken, &id_token);
        Ok(id_token)
    }

    /// OpenID Connect Core sections 2 and 3.1.3.6; without `nonce` after a refresh (section 12.2).
    fn id_token_claims(&self, parts: &Parts, access_token: &str, now: u64) -> Map<String, Value> {
        let grant = self.grants.grant(parts.grant);
        let issued_at = now.saturating_add_signed(self.settings.clock_skew);
        let mut claims = accounts::claims(&grant.account, &parts.scopes, self.settings.google_shaped);
        let protocol = json!({
            "iss": self.issuer,
            "aud": grant.client_id,
            "azp": grant.client_id,
            "iat": issued_at,
            "exp": issued_at + ID_TOKEN_LIFE,
            "at_hash": jwt::at_hash(access_token),
            "nonce": parts.nonce,
        });
        jwt::merge(&mut claims, &protocol);
        claims
    }
}

/// The scopes a refresh asks for: at most the granted ones (RFC 6749 section 6).
fn narrowed(granted: Vec<String>, asked: Option<&str>) -> Result<Vec<String>, Refusal> {
    let Some(asked) = asked else { return Ok(granted) };
    let asked =
        accounts::parse_scopes(asked).filter(|asked| asked.iter().all(|scope| accounts::covers(&granted, scope)));
    asked.ok_or(Refusal::new("invalid_scope", "more scopes than were granted"))
}

/// RFC 7636 section 4.1.
fn is_verifier(text: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved)
}

/// Its own, not `token_ttl`: tests of refreshing choose access tokens that are born expired.
const ID_TOKEN_LIFE: u64 = 3600;
