//! Codes, grants and tokens: who holds what, and what ends it.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::message::Refusal;

/// What a person agreed to; every token made from one consent belongs to it.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) account: String,
    pub(super) scopes: Vec<String>,
    revoked: bool,
}

/// The number of a grant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct GrantId(usize);

/// What an authorization code stands for.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) code_challenge: String,
    pub(super) nonce: Option<String>,
    pub(super) account: String,
    pub(super) scopes: Vec<String>,
    /// Whether a refresh token was asked for and may be given.
    pub(super) offline: bool,
    pub(super) expires_at: u64,
}

enum CodeState {
    Fresh(Code),
    /// It was tried before; what it gave, if it gave anything.
    Spent(Option<GrantId>),
}

#[derive(Clone)]
pub(super) struct Access {
    pub(super) grant: GrantId,
    pub(super) scopes: Vec<String>,
    pub(super) expires_at: u64,
}

struct Refresh {
    grant: GrantId,
    /// Rotated away: seeing it again means that two parties hold it.
    retired: bool,
}

/// Everything handed out, by its secret value.
#[derive(Default)]
pub(super) struct Grants {
    grants: Vec<Grant>,
    codes: HashMap<String, CodeState>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
}

impl Grants {
    pub(super) fn add_code(&mut self, prefix: &str, code: Code) -> String {
        let value = secret(prefix);
        self.codes.insert(value.clone(), CodeState::Fresh(code));
        value
    }

    /// Takes a code for good (RFC 6749 section 4.1.2): one try, right or wrong, and a second one ends what the
    /// first one gave. Another client's code stays usable, or anybody could burn it.
    pub(super) fn take_code(&mut self, value: &str, client_id: &str, now: u64) -> Result<Code, Refusal> {
        match self.codes.get(value) {
            None => return Err(Refusal::invalid_grant("there is no such code")),
            Some(CodeState::Fresh(code)) if code.client_id != client_id => {
                return Err(Refusal::invalid_grant("the code belongs to another client"));
            }
            Some(CodeState::Spent(given)) => {
                given.map(|grant| self.end(grant));
                return Err(Refusal::invalid_grant("the code was used before"));
            }
            Some(CodeState::Fresh(_)) => {}
        }
        match self.codes.insert(value.to_owned(), CodeState::Spent(None)) {
            Some(CodeState::Fresh(code)) if now < code.expires_at => Ok(code),
            _ => Err(Refusal::invalid_grant("the code has expired")),
        }
    }

    /// Opens the grant that a code gave, and remembers which code it was.
    pub(super) fn open(&mut self, code_value: &str, code: &Code) -> GrantId {
        let id = GrantId(self.grants.len());
        let Code { client_id, account, scopes, .. } = code.clone();
        self.grants.push(Grant { client_id, account, scopes, revoked: false });
        self.codes.insert(code_value.to_owned(), CodeState::Spent(Some(id)));
        id
    }

    pub(super) fn grant(&self, id: GrantId) -> &Grant {
        &self.grants[id.0]
    }

    pub(super) fn add_access(&mut self, grant: GrantId, scopes: Vec<String>, expires_at: u64) -> String {
        let value = secret("sandbox-at-");
        self.access.insert(value.clone(), Access { grant, scopes, expires_at });
        value
    }

    pub(super) fn add_refresh(&mut self, grant: GrantId) -> String {
        let value = secret("sandbox-rt-");
        self.refresh.insert(value.clone(), Refresh { grant, retired: false });
        value
    }

    /// Finds the grant of a refresh token; a retired one ends it (RFC 9700 section 4.14.2).
    pub(super) fn of_refresh(&mut self, value: &str, client_id: &str) -> Result<GrantId, Refusal> {
        let token = self.refresh.get(value).ok_or(Refusal::invalid_grant("there is no such refresh token"))?;
        let (id, retired) = (token.grant, token.retired);
        let grant = self.grant(id);
        if grant.client_id != client_id {
            return Err(Refusal::invalid_grant("the refresh token belongs to another client"));
        }
        if grant.revoked {
            return Err(Refusal::invalid_grant("Token has been expired or revoked."));
        }
        if retired {
            self.end(id);
            return Err(Refusal::invalid_grant("the refresh token was used before"));
        }
        Ok(id)
    }

    pub(super) fn retire(&mut self, refresh_token: &str) {
        if let Some(token) = self.refresh.get_mut(refresh_token) {
            token.retired = true;
        }
    }

    /// An access token that works now.
    pub(super) fn access(&self, value: &str, now: u64) -> Option<&Access> {
        self.access.get(value).filter(|access| now < access.expires_at && !self.grant(access.grant).revoked)
    }

    /// The grant of a refresh token that works.
    pub(super) fn active_refresh(&self, value: &str) -> Option<GrantId> {
        let token = self.refresh.get(value).filter(|token| !token.retired)?;
        (!self.grant(token.grant).revoked).then_some(token.grant)
    }

    /// The grant a token belongs to, alive or not.
    pub(super) fn owner(&self, token: &str) -> Option<GrantId> {
        let of_access = self.access.get(token).map(|access| access.grant);
        of_access.or_else(|| self.refresh.get(token).map(|refresh| refresh.grant))
    }

    /// Whether that token is a refresh token, alive or not.
    pub(super) fn is_refresh(&self, token: &str) -> bool {
        self.refresh.contains_key(token)
    }

    pub(super) fn forget_access(&mut self, value: &str) {
        self.access.remove(value);
    }

    pub(super) fn end(&mut self, id: GrantId) {
        self.grants[id.0].revoked = true;
    }

    pub(super) fn end_all(&mut self) {
        self.grants.iter_mut().for_each(|grant| grant.revoked = true);
    }
}

impl Code {
    /// What has to fit when the code is redeemed (RFC 6749 section 4.1.3, RFC 7636 section 4.6).
    pub(super) fn check(&self, redirect_uri: &str, code_verifier: &str) -> Result<(), Refusal> {
        if self.redirect_uri != redirect_uri {
            return Err(Refusal::invalid_grant("redirect_uri is not the one of the authorization request"));
        }
        let challenge = code_challenge(code_verifier);
        let fits = bool::from(challenge.as_bytes().ct_eq(self.code_challenge.as_bytes()));
        fits.then_some(()).ok_or(Refusal::invalid_grant("Invalid code verifier."))
    }
}

/// S256 (RFC 7636 section 4.2).
pub(super) fn code_challenge(code_verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(code_verifier))
}

/// A fresh unguessable value: 256 bits.
pub(super) fn secret(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_of_rfc_7636_appendix_b() {
        let challenge = code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
