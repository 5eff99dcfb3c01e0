//! What may be told of a credential.

use std::sync::Arc;

use super::bound_to::BoundTo;
use super::held::{Held, State};
use crate::grant::Scope;
use crate::time::Timestamp;
use crate::vault::{Credential, RefreshPolicy};

/// A credential without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialInfo {
    /// The service.
    pub service: Arc<str>,
    /// The name of the account there, if it has one.
    pub name: Option<Arc<str>>,
    /// Whose end is its end.
    pub owner: BoundTo,
    /// What it is.
    pub kind: CredentialKind,
    /// What it allows.
    pub scope: Scope,
    /// How it stands.
    pub state: CredentialState,
    /// How often its secret was replaced, the first one included; it begins anew after a revocation.
    pub generation: u64,
    /// Since when this secret is here.
    pub obtained_at: Timestamp,
    /// When the access token expires.
    pub expires_at: Option<Timestamp>,
    /// By when a static secret should be replaced.
    pub rotate_by: Option<Timestamp>,
}

/// The two kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialKind {
    /// Tokens of an authorization server.
    OAuth,
    /// An API key, a password, a key pair.
    Static,
}

/// How a credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialState {
    /// It is leased and refreshed.
    Active,
    /// The user has to authorize anew.
    NeedsAuthorization,
    /// It is leased to nobody; the service is still to be told.
    Revoking,
}

impl CredentialInfo {
    pub(crate) fn of(held: Held, policy: &RefreshPolicy, now: Timestamp) -> Self {
        let (kind, expires_at, rotate_by) = match &held.credential {
            Credential::OAuth(tokens) => (CredentialKind::OAuth, tokens.expires_at, None),
            Credential::Static(secret) => (CredentialKind::Static, None, secret.rotate_by),
        };
        Self {
            service: held.account.service,
            name: held.account.name,
            owner: held.owner,
            kind,
            scope: held.credential.scope().clone(),
            state: match held.state {
                State::Active(attempts) if policy.gives_up(attempts.refused_since, now) => {
                    CredentialState::NeedsAuthorization
                }
                State::Active(_) => CredentialState::Active,
                State::NeedsAuthorization { .. } => CredentialState::NeedsAuthorization,
                State::Revoking(_) => CredentialState::Revoking,
            },
            generation: held.generation,
            obtained_at: held.obtained_at,
            expires_at,
            rotate_by,
        }
    }
}
