//! An authorization that has begun, and its stored form.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::grant::Scope;
use crate::id::FamilyId;
use crate::record::sealed;
use crate::time::Timestamp;
use crate::vault::vault_error::{VaultError, corrupt};
use crate::vault::{Account, BoundTo, SecretText};

/// The time in which a user has to authorize.
pub(super) const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// How long after that the vault still distinguishes a late callback from one whose authorization never began.
pub(super) const MEMORY: Duration = Duration::from_secs(60 * 60);

/// The version of the stored form: raise it to add a field.
const VERSION: u8 = 1;

/// An authorization that has begun.
pub(super) struct Pending {
    pub(super) account: Account,
    pub(super) scope: Scope,
    pub(super) bound_to: BoundTo,
    pub(super) redirect_uri: Arc<str>,
    pub(super) return_to: Option<Arc<str>>,
    /// The keyed hash of the browser session that it was begun in.
    pub(super) session_tag: [u8; 32],
    pub(super) started_at: Timestamp,
    pub(super) progress: Progress,
}

/// How far an authorization is.
pub(super) enum Progress {
    /// No callback was accepted yet. The verifier is the secret of the exchange.
    Open { verifier: SecretText },
    /// The operation with this name accepted a callback. No other one does.
    Spent { by: [u8; 16] },
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    subject: &'a str,
    service: &'a str,
    name: Option<&'a str>,
    scope: &'a str,
    session: Option<[u8; 16]>,
    client_id: Option<&'a str>,
    redirect_uri: &'a str,
    return_to: Option<&'a str>,
    session_tag: [u8; 32],
    started_at: Timestamp,
    progress: StoredProgress<'a>,
}

#[derive(Serialize, Deserialize)]
enum StoredProgress<'a> {
    Open { verifier: &'a str },
    Spent { by: [u8; 16] },
}

impl Pending {
    /// The same authorization, spent by `by`. The verifier is gone.
    pub(super) fn spent(&self, by: [u8; 16]) -> Self {
        Self {
            account: self.account.clone(),
            scope: self.scope.clone(),
            bound_to: self.bound_to.clone(),
            redirect_uri: self.redirect_uri.clone(),
            return_to: self.return_to.clone(),
            session_tag: self.session_tag,
            started_at: self.started_at,
            progress: Progress::Spent { by },
        }
    }

    /// From this time on the record may be purged.
    pub(super) fn purged_from(&self) -> Timestamp {
        self.started_at.saturating_add(LIFETIME + MEMORY)
    }

    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let progress = match &self.progress {
            Progress::Open { verifier } => StoredProgress::Open { verifier: verifier.expose() },
            Progress::Spent { by } => StoredProgress::Spent { by: *by },
        };
        let stored = Stored {
            subject: &self.account.subject,
            service: &self.account.service,
            name: self.account.name.as_deref(),
            scope: self.scope.as_str(),
            session: self.bound_to.session.map(|family| *family.as_bytes()),
            client_id: self.bound_to.client_id.as_deref(),
            redirect_uri: &self.redirect_uri,
            return_to: self.return_to.as_deref(),
            session_tag: self.session_tag,
            started_at: self.started_at,
            progress,
        };
        Ok(sealed::encode(&(VERSION, stored))?)
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, VaultError> {
        let (version, stored): (u8, Stored<'_>) = postcard::from_bytes(content).map_err(|_| corrupt())?;
        if version != VERSION {
            return Err(corrupt());
        }
        let account = Account::new(stored.subject, stored.service);
        Ok(Self {
            account: stored.name.map_or(account.clone(), |name| account.named(name)),
            scope: Scope::from_canonical(stored.scope),
            bound_to: BoundTo {
                session: stored.session.map(FamilyId::from_bytes),
                client_id: stored.client_id.map(Into::into),
            },
            redirect_uri: stored.redirect_uri.into(),
            return_to: stored.return_to.map(Into::into),
            session_tag: stored.session_tag,
            started_at: stored.started_at,
            progress: match stored.progress {
                StoredProgress::Open { verifier } => Progress::Open { verifier: SecretText::new(verifier) },
                StoredProgress::Spent { by } => Progress::Spent { by },
            },
        })
    }
}
