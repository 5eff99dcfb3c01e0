//! The public view of a credential.

use std::sync::Arc;

use super::bound_to::BoundTo;
use super::held::{Held, State};
use crate::grant::Scope;
use crate::time::Timestamp;
use crate::vault::{Credential, RefreshPolicy};

/// A credential without its secret, for a page where users see their connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialInfo {
    /// The service that the credential is for.
    pub service: Arc<str>,
    /// The name of the account at the service, if it has one.
    pub name: Option<Arc<str>>,
    /// What the credential is bound to.
    pub bound_to: BoundTo,
    /// The kind of credential.
    pub kind: CredentialKind,
    /// What the credential allows at the service.
    pub scope: Scope,
    /// The state of the credential.
    pub state: CredentialState,
    /// How many secrets the account has had, counting from 1. It starts at 1 again after a revocation.
    pub generation: u64,
    /// When this secret was obtained.
    pub obtained_at: Timestamp,
    /// When the access token expires; `None` for a static secret or a token that does not expire.
    pub expires_at: Option<Timestamp>,
    /// The time by which a static secret should be replaced.
    pub rotate_by: Option<Timestamp>,
}

/// The kind of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialKind {
    /// Tokens from an authorization server.
    OAuth,
    /// An API key, a password or a key pair.
    Static,
}

/// The state of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialState {
    /// The credential is leased and refreshed.
    Active,
    /// The user has to authorize again.
    NeedsAuthorization,
    /// The credential is not leased, and is still to be revoked at the service.
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
            bound_to: held.bound_to,
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
