//! Revocations that follow the end of a session, subject or client of this server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::CredentialVault;
use super::error::VaultError;
use super::root::Root;
use crate::audit::{Action, AuditEvent, AuditSink, Reason, RevocationReason};
use crate::error::Error;
use crate::id::FamilyId;
use crate::issuer::{PAGE, TokenIssuer};
use crate::policy::OnReuse;
use crate::record::{Found, sealed};
use crate::store::{Record, Select, TokenStore};
use crate::time::Timestamp;
use crate::vault::UpstreamReason;
use crate::vault::patience::Patience;

/// For how long a revocation that a [`RevocationListener`] has begun is retried.
const PERSISTENCE: Duration = Duration::from_secs(5 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Revokes all credentials of `subject`. Returns how many were active until now.
    ///
    /// When a user leaves, call this in addition to [`TokenIssuer::revoke_subject`]: the [`RevocationListener`] is
    /// notified only about subjects that had a live session. Calling it again does no harm. A credential that is put
    /// into the vault during the call may be missed, so lock the user out first.
    ///
    /// # Errors
    ///
    /// The errors of [`revoke`](Self::revoke). A record that does not open does not stop the others; its error is
    /// returned at the end.
    pub async fn revoke_subject(&self, subject: &str) -> Result<usize, VaultError> {
        let index = self.root().await?.subject(subject);
        let subject: Arc<str> = subject.into();
        self.revoke_listed(index, move |held| held.account.subject() == &*subject).await
    }

    /// Revokes all credentials that are bound to the session `family`. Returns how many were active until now.
    ///
    /// # Errors
    ///
    /// The errors of [`revoke_subject`](Self::revoke_subject).
    pub async fn revoke_session(&self, family: FamilyId) -> Result<usize, VaultError> {
        let index = self.root().await?.session(family);
        self.revoke_listed(index, move |held| held.bound_to.session == Some(family)).await
    }

    /// Revokes all credentials that are bound to the client `client_id`, of all users. Returns how many were active
    /// until now.
    ///
    /// When a client is withdrawn, call this in addition to [`TokenIssuer::revoke_client`]: the [`RevocationListener`]
    /// is notified only about clients that had a live session. Calling it again does no harm.
    ///
    /// # Errors
    ///
    /// The errors of [`revoke_subject`](Self::revoke_subject).
    pub async fn revoke_client(&self, client_id: &str) -> Result<usize, VaultError> {
        let index = self.root().await?.client(client_id);
        let client_id: Arc<str> = client_id.into();
        self.revoke_listed(index, move |held| held.bound_to.client_id.as_ref() == Some(&client_id)).await
    }

    /// Revokes all credentials that are bound to sessions that are over: revoked, expired, or unknown to `issuer`.
    /// Returns how many were active until now.
    ///
    /// A [`RevocationListener`] misses a session if the process ends between the revocation and its event, and if the
    /// session expires without a revocation. This method finds both. It does not find subjects and clients: for those
    /// call [`revoke_subject`](Self::revoke_subject) and [`revoke_client`](Self::revoke_client). It reads each record
    /// and unwraps its data key, so once a day is enough.
    ///
    /// # Errors
    ///
    /// The errors of [`revoke_subject`](Self::revoke_subject), and faults of the issuer. A record that does not open
    /// does not stop the others; its error is returned at the end.
    pub async fn reconcile<T: TokenStore>(&self, issuer: &TokenIssuer<T>) -> Result<usize, VaultError> {
        let (mut count, mut after, mut fault) = (0, None, None);
        loop {
            let page = self.noted(self.store.list(Select::All, after, PAGE).await)?;
            for record in page.records {
                match self.reconcile_record(&record, issuer).await {
                    Ok(revoked) => count += revoked,
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    Err(error) => return Err(error),
                }
            }
            after = page.next;
            if after.is_none() {
                return fault.map_or(Ok(count), Err);
            }
        }
    }

    /// Revokes the credentials of the session that the credential in `record` is bound to, if that session is over.
    async fn reconcile_record<T: TokenStore>(
        &self,
        record: &Record,
        issuer: &TokenIssuer<T>,
    ) -> Result<usize, VaultError> {
        match self.session_of(record).await? {
            Some(session) if is_over(session, issuer).await? => self.revoke_session(session).await,
            _ => Ok(0),
        }
    }

    /// The session that the credential in `record` is bound to.
    async fn session_of(&self, record: &Record) -> Result<Option<FamilyId>, VaultError> {
        if !sealed::is_upstream(record) || record.key == Root::place() {
            return Ok(None);
        }
        let (_, held) = self.open(record).await?;
        Ok(held.and_then(|held| held.bound_to.session))
    }
}

/// Whether a session is revoked, expired or unknown.
async fn is_over<T: TokenStore>(session: FamilyId, issuer: &TokenIssuer<T>) -> Result<bool, Error> {
    let Some(Found { family, .. }) = issuer.load(session).await? else { return Ok(true) };
    Ok(!family.is_live(&issuer.policies.lifetimes(&family.grant), issuer.clock.now()))
}

/// A session, subject or client that an event reports as ended.
enum End {
    Session(FamilyId),
    Subject(Arc<str>),
    Client(Arc<str>),
}

impl End {
    /// The sessions, subjects and clients that `event` reports as ended.
    fn reported_by(event: &AuditEvent) -> impl Iterator<Item = Self> {
        let (session, subject, client) = match event.action {
            Action::Revoke(reason) => (true, reason == RevocationReason::Subject, reason == RevocationReason::Client),
            Action::Reuse(OnReuse::RevokeFamily) => (true, false, false),
            Action::Reuse(OnReuse::RevokeSubject) => (true, true, false),
            _ => (false, false, false),
        };
        let session = event.family.filter(|_| session).map(Self::Session);
        let subject = event.subject.clone().filter(|_| subject).map(Self::Subject);
        let client = event.client_id.clone().filter(|_| client).map(Self::Client);
        [session, subject, client].into_iter().flatten()
    }

    /// The event for credentials that could not be revoked.
    fn missed(self, at: Timestamp) -> AuditEvent {
        let event = AuditEvent::new(at, Action::Fail).because(Reason::Upstream(UpstreamReason::Fault));
        match self {
            Self::Session(family) => AuditEvent { family: Some(family), ..event },
            Self::Subject(subject) => AuditEvent { subject: Some(subject), ..event },
            Self::Client(client_id) => AuditEvent { client_id: Some(client_id), ..event },
        }
    }
}

/// An audit sink that revokes credentials when the session, subject or client that they are bound to ends.
/// [`CredentialVault::revocation_sink`] creates it.
pub struct RevocationListener<S> {
    vault: CredentialVault<S>,
    sink: Arc<dyn AuditSink>,
}

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Creates an audit sink for [`TokenIssuer::with_audit`]. It passes each event on to `sink`. If an event reports
    /// the end of a session, subject or client, by revocation or for reuse, it revokes the credentials bound to it, in
    /// the background.
    ///
    /// The issuer reports a subject or a client once for each live session that it revokes. It reports nothing for one
    /// without a live session: when a user or a client leaves, also call [`revoke_subject`](Self::revoke_subject) or
    /// [`revoke_client`](Self::revoke_client).
    ///
    /// A failed revocation is retried for five minutes. Then an [`Action::Fail`] with the session, subject or client
    /// goes to `sink` and to the audit sink of the vault; call the matching revoke method for it. If the process ends
    /// before that, [`reconcile`](Self::reconcile) completes the revocations of sessions, and the two methods above
    /// those of subjects and clients.
    pub fn revocation_sink(&self, sink: impl AuditSink + 'static) -> RevocationListener<S> {
        RevocationListener { vault: self.clone(), sink: Arc::new(sink) }
    }

    async fn revoke_for(&self, end: &End) -> Result<usize, VaultError> {
        match end {
            End::Session(family) => self.revoke_session(*family).await,
            End::Subject(subject) => self.revoke_subject(subject).await,
            End::Client(client_id) => self.revoke_client(client_id).await,
        }
    }
}

impl<S: TokenStore + 'static> AuditSink for RevocationListener<S> {
    fn record(&self, event: &AuditEvent) {
        self.sink.record(event);
        for end in End::reported_by(event) {
            let (vault, sink) = (self.vault.clone(), self.sink.clone());
            self.vault.runtime.spawn(async move {
                let mut patience = Patience::new(PERSISTENCE, LONGEST_PAUSE);
                while vault.revoke_for(&end).await.is_err() {
                    if !patience.pause(&vault.runtime).await {
                        let event = end.missed(vault.now());
                        vault.audit.record(&event);
                        return sink.record(&event);
                    }
                }
            });
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for RevocationListener<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationListener").field("vault", &self.vault).finish_non_exhaustive()
    }
}
