//! The public view of a credential.

use std::sync::Arc;

use super::bound_to::BoundTo;
use super::slot::state::{Held, Phase, Slot};
use crate::grant::Scope;
use crate::time::Timestamp;
use crate::vault::{Account, Credential, RefreshPolicy};

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
    /// The number of this secret among those that the account has had, from 1.
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
    /// Views of all secrets of `account`, the one that is leased first.
    pub(crate) fn all(account: &Account, slot: &Slot, policy: &RefreshPolicy, now: Timestamp) -> Vec<Self> {
        let current = slot.current.iter().map(|live| {
            let is_given_up = policy.gives_up(live.back_off.refused_since, now);
            match live.phase {
                Phase::Dead => (&live.held, CredentialState::NeedsAuthorization),
                _ if is_given_up => (&live.held, CredentialState::NeedsAuthorization),
                _ => (&live.held, CredentialState::Active),
            }
        });
        let ending = slot.ending.iter().map(|ending| (&ending.held, CredentialState::Revoking));
        current.chain(ending).map(|(held, state)| Self::of(account, held, state)).collect()
    }

    fn of(account: &Account, held: &Held, state: CredentialState) -> Self {
        let (kind, expires_at, rotate_by) = match &*held.credential {
            Credential::OAuth(tokens) => (CredentialKind::OAuth, tokens.expires_at, None),
            Credential::Static(secret) => (CredentialKind::Static, None, secret.rotate_by),
        };
        Self {
            service: account.service.clone(),
            name: account.name.clone(),
            bound_to: held.bound_to.clone(),
            kind,
            scope: held.credential.scope().clone(),
            state,
            generation: held.generation,
            obtained_at: held.obtained_at,
            expires_at,
            rotate_by,
        }
    }
}
