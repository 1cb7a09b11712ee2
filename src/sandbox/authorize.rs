//! The authorization endpoint's rules: which requests get a page, and which an error (RFC 6749 section 3.1).

use super::accounts;
use super::clients::Client;
use super::params::Params;

/// A request that kept every rule.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) client: Client,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) nonce: Option<String>,
    pub(super) code_challenge: String,
    pub(super) access_type_offline: bool,
    pub(super) login_hint: Option<String>,
}

/// A request that did not.
pub(super) enum Refused {
    /// Nobody knows where to send the browser, so the person sees a page (RFC 6749 section 4.1.2.1).
    Shown(&'static str),
    /// The client is told.
    Redirected { redirect_uri: String, state: Option<String>, error: &'static str, description: &'static str },
}

/// Judges a request: first where an answer may go, then everything else.
pub(super) fn judge(clients: &[Client], query: &str) -> Result<Asked, Refused> {
    let params = Params::parse(query).map_err(|refusal| Refused::Shown(refusal.description))?;
    let client = client(clients, &params).map_err(Refused::Shown)?;
    let redirect_uri = redirect_uri(client, &params).map_err(Refused::Shown)?;
    rest(client, redirect_uri, &params).map_err(|(error, description)| Refused::Redirected {
        redirect_uri: redirect_uri.to_owned(),
        state: params.get("state").filter(|_| !params.is_repeated("state")).map(str::to_owned),
        error,
        description,
    })
}

fn client<'a>(clients: &'a [Client], params: &Params) -> Result<&'a Client, &'static str> {
    if params.is_repeated("client_id") {
        return Err("The request names its client more than once.");
    }
    let id = params.get("client_id").ok_or("The request names no client.")?;
    clients.iter().find(|client| client.id == id).ok_or("The provider knows no such client.")
}

fn redirect_uri<'a>(client: &Client, params: &'a Params) -> Result<&'a str, &'static str> {
    if params.is_repeated("redirect_uri") {
        return Err("The request names its redirect URI more than once.");
    }
    let uri = params.get("redirect_uri").ok_or("The request names no redirect URI.")?;
    client.may_return_to(uri).then_some(uri).ok_or("The client is not registered for this redirect URI.")
}

type Broken = (&'static str, &'static str);

fn rest(client: &Client, redirect_uri: &str, params: &Params) -> Result<Asked, Broken> {
    if params.repeated().is_some() {
        return Err((INVALID_REQUEST, "a parameter is repeated"));
    }
    check_kind(params)?;
    let state = params.get("state").ok_or((INVALID_REQUEST, "state is missing"))?;
    let code_challenge = code_challenge(params)?;
    let scopes = params.get("scope").and_then(accounts::parse_scopes);
    let scopes = scopes.ok_or((INVALID_SCOPE, "scope is missing, malformed or unknown"))?;
    let nonce = params.get("nonce");
    if nonce.is_none() && accounts::covers(&scopes, "openid") {
        return Err((INVALID_REQUEST, "nonce is missing"));
    }
    let access_type_offline = access_type_offline(params)?;
    check_prompt(params)?;
    Ok(Asked {
        client: client.clone(),
        redirect_uri: redirect_uri.to_owned(),
        state: Some(state.to_owned()),
        scopes,
        nonce: nonce.map(str::to_owned),
        code_challenge: code_challenge.to_owned(),
        access_type_offline,
        login_hint: params.get("login_hint").map(str::to_owned),
    })
}

/// The code flow with its answer in the query, and nothing by request object (OpenID Connect Core section 6).
fn check_kind(params: &Params) -> Result<(), Broken> {
    match params.get("response_type") {
        Some("code") => {}
        None => return Err((INVALID_REQUEST, "response_type is missing")),
        Some(_) => return Err(("unsupported_response_type", "only code is supported")),
    }
    if params.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err((INVALID_REQUEST, "only response_mode=query is supported"));
    }
    if params.get("request").is_some() {
        return Err(("request_not_supported", "request objects are not supported"));
    }
    if params.get("request_uri").is_some() {
        return Err(("request_uri_not_supported", "request objects are not supported"));
    }
    Ok(())
}

/// S256 or nothing; leaving the method out would mean `plain` (RFC 7636 section 4.3).
fn code_challenge(params: &Params) -> Result<&str, Broken> {
    let challenge = params.get("code_challenge").ok_or((INVALID_REQUEST, "code_challenge is missing"))?;
    if params.get("code_challenge_method") != Some("S256") {
        return Err((INVALID_REQUEST, "code_challenge_method must be S256"));
    }
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_hash = challenge.len() == 43 && challenge.bytes().all(is_base64url);
    is_hash.then_some(challenge).ok_or((INVALID_REQUEST, "code_challenge is no SHA-256 hash"))
}

fn access_type_offline(params: &Params) -> Result<bool, Broken> {
    match params.get("access_type") {
        None | Some("online") => Ok(false),
        Some("offline") => Ok(true),
        Some(_) => Err((INVALID_REQUEST, "access_type is neither online nor offline")),
    }
}

/// Nobody is ever signed in here, so `none` cannot succeed (OpenID Connect Core section 3.1.2.1).
fn check_prompt(params: &Params) -> Result<(), Broken> {
    let prompts: Vec<_> = params.get("prompt").map(|prompt| prompt.split(' ').collect()).unwrap_or_default();
    if prompts == ["none"] {
        return Err(("login_required", "nobody is signed in"));
    }
    let known = |prompt: &&str| matches!(*prompt, "login" | "consent" | "select_account");
    prompts.iter().all(known).then_some(()).ok_or((INVALID_REQUEST, "prompt is not understood"))
}

const INVALID_REQUEST: &str = "invalid_request";
const INVALID_SCOPE: &str = "invalid_scope";
