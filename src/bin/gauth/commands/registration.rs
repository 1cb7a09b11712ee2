//! Which client signs in at which provider: named by options, remembered by the profile, or found in the config folder.

use std::path::{Path, PathBuf};

use gauth::accounts::Profile;
use gauth::client::{ClientKind, LoopbackRedirect};
use gauth::credential::Credential;
use gauth::{Client, ClientFile, Error, Provider, Result};

use crate::args::Login;
use crate::context::Context;

/// A client at its provider.
#[derive(Debug)]
pub struct Registration {
    pub provider: Provider,
    pub client: Client,
    pub redirect: Option<LoopbackRedirect>,
    pub client_file: Option<PathBuf>,
    pub project_id: Option<String>,
    /// Whether Google needs to be asked for consent to give a refresh token again (G-15).
    pub is_web: bool,
}

/// The client and provider: named by options, or remembered by the profile, or in the config folder.
pub fn settle(context: &Context, options: &Login, old: Option<&Profile>) -> Result<Registration> {
    let in_config_dir = context.vault.accounts.dir().join("client_secrets.json");
    // What the profile remembers counts before what a variable says, and after what an option says.
    if let Some(old) = old.filter(|_| !options.is_client_named) {
        return remembered(context, old);
    }
    match (&options.client_secrets, &options.issuer, &options.client_id) {
        (Some(path), issuer, _) => of_file(context, path, issuer.as_deref()),
        (None, Some(issuer), Some(client_id)) => of_issuer(context, issuer, client_id),
        (None, _, _) if in_config_dir.exists() => of_file(context, &in_config_dir, None),
        (None, _, _) => Err(Error::NoClient),
    }
}

fn of_file(context: &Context, path: &Path, issuer: Option<&str>) -> Result<Registration> {
    let file = &ClientFile::read(path)?;
    let _waiting = context.waiting("waiting for the provider's discovery document");
    let provider = match issuer {
        Some(issuer) => {
            let provider = Provider::discover(issuer, &context.http)?;
            provider.check_client_file(file)?;
            provider
        }
        None => Provider::of_client_file(file, &context.http)?,
    };
    Ok(Registration {
        provider,
        client: file.client.clone(),
        redirect: file.loopback_redirect(),
        client_file: std::path::absolute(path).ok(),
        project_id: file.project_id.clone(),
        is_web: file.kind == ClientKind::Web,
    })
}

fn of_issuer(context: &Context, issuer: &str, client_id: &str) -> Result<Registration> {
    let _waiting = context.waiting("waiting for the provider's discovery document");
    Ok(Registration {
        provider: Provider::discover(issuer, &context.http)?,
        client: Client::public(client_id),
        redirect: None,
        client_file: None,
        project_id: None,
        is_web: false,
    })
}

/// The profile's own client and provider. Both count only with the credential that is bound to them: it has the secret,
/// and tells an index that was changed. Without it the way is the one of a first login, from the client file or the
/// issuer; so signing in is still possible where the store is closed or damaged.
fn remembered(context: &Context, old: &Profile) -> Result<Registration> {
    match (Credential::load(&*context.vault.store(old.store), old).ok().flatten(), &old.client_file) {
        (Some(credential), _) => Ok(Registration {
            provider: old.provider.clone(),
            client: credential.client(old),
            redirect: old.redirect.clone(),
            client_file: old.client_file.clone(),
            project_id: old.project_id.clone(),
            is_web: old.redirect.as_ref().is_some_and(|redirect| redirect.port.is_some()),
        }),
        (_, Some(path)) => {
            let issuer = old.provider.has_keys().then_some(old.provider.issuer.as_str());
            of_file(context, path, issuer).and_then(|registration| same_client(registration, old))
        }
        (_, None) => of_issuer(context, &old.provider.issuer, &old.client_id),
    }
}

/// The file may be another one by now.
fn same_client(registration: Registration, old: &Profile) -> Result<Registration> {
    if registration.client.id.as_str() == old.client_id { Ok(registration) } else { Err(Error::NoClient) }
}
