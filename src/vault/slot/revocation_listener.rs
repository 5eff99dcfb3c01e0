//! What ends with a session, a user or a client of this server: the credentials that were stored for it.

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

/// How long a revocation that a [`RevocationListener`] has set off is tried.
const PERSISTENCE: Duration = Duration::from_secs(5 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Revoke everything that `subject` has in the vault. Returns how much was leased until now.
    ///
    /// When a user is offboarded, call this besides [`TokenIssuer::revoke_subject`]: the [`RevocationListener`] hears only of subjects
    /// that have a living session. To call it again does no harm. What is put into the vault meanwhile may escape, so lock the
    /// user out first.
    ///
    /// # Errors
    ///
    /// As [`revoke`](Self::revoke). One record that does not open does not save the others.
    pub async fn revoke_subject(&self, subject: &str) -> Result<usize, VaultError> {
        let index = self.root().await?.subject(subject);
        let subject: Arc<str> = subject.into();
        self.revoke_listed(index, move |held| held.account.subject() == &*subject).await
    }

    /// Revoke everything that is bound to the session `family`. Returns how much was leased until now.
    ///
    /// # Errors
    ///
    /// As [`revoke_subject`](Self::revoke_subject).
    pub async fn revoke_session(&self, family: FamilyId) -> Result<usize, VaultError> {
        let index = self.root().await?.session(family);
        self.revoke_listed(index, move |held| held.owner.session == Some(family)).await
    }

    /// Revoke everything that is bound to the client `client_id`, whoever's it is. Returns how much was leased until now.
    ///
    /// When a client is withdrawn, call this besides [`TokenIssuer::revoke_client`]: the [`RevocationListener`] hears only of clients that
    /// have a living session. To call it again does no harm.
    ///
    /// # Errors
    ///
    /// As [`revoke_subject`](Self::revoke_subject).
    pub async fn revoke_client(&self, client_id: &str) -> Result<usize, VaultError> {
        let index = self.root().await?.client(client_id);
        let client_id: Arc<str> = client_id.into();
        self.revoke_listed(index, move |held| held.owner.client_id.as_ref() == Some(&client_id)).await
    }

    /// Revoke what is bound to sessions that are over: revoked, expired, or not known to `issuer` any more. Returns how much
    /// was leased until now.
    ///
    /// It catches the sessions of which a [`RevocationListener`] has not heard because the process ended between the revocation and its
    /// event, and those that nobody revokes because they simply end. It does not know of subjects and clients: for
    /// them call [`revoke_subject`](Self::revoke_subject) and [`revoke_client`](Self::revoke_client). It reads every
    /// record and unwraps its data key; once a day is plenty.
    ///
    /// # Errors
    ///
    /// As [`revoke_subject`](Self::revoke_subject), and a fault of the issuer's. One session that cannot be read does not hold up
    /// the others.
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

    /// Revoke what is bound to the same session as what is in `record`, if that is over.
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

    /// The session that what is in `record` is bound to.
    async fn session_of(&self, record: &Record) -> Result<Option<FamilyId>, VaultError> {
        if !sealed::is_upstream(record) || record.key == Root::place() {
            return Ok(None);
        }
        let (_, held) = self.open(record).await?;
        Ok(held.and_then(|held| held.owner.session))
    }
}

async fn is_over<T: TokenStore>(session: FamilyId, issuer: &TokenIssuer<T>) -> Result<bool, Error> {
    let Some(Found { family, .. }) = issuer.load(session).await? else { return Ok(true) };
    Ok(!family.is_live(&issuer.policies.lifetimes(&family.grant), issuer.clock.now()))
}

/// Whose end an event tells of.
enum End {
    Session(FamilyId),
    Subject(Arc<str>),
    Client(Arc<str>),
}

impl End {
    fn told_by(event: &AuditEvent) -> impl Iterator<Item = Self> {
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

    /// That what is bound to it could not be revoked.
    fn missed(self, at: Timestamp) -> AuditEvent {
        let event = AuditEvent::new(at, Action::Fail).because(Reason::Upstream(UpstreamReason::Fault));
        match self {
            Self::Session(family) => AuditEvent { family: Some(family), ..event },
            Self::Subject(subject) => AuditEvent { subject: Some(subject), ..event },
            Self::Client(client_id) => AuditEvent { client_id: Some(client_id), ..event },
        }
    }
}

/// An audit sink that listens to the issuer: what ends here ends upstream. Made by [`CredentialVault::revocation_sink`].
pub struct RevocationListener<S> {
    vault: CredentialVault<S>,
    sink: Arc<dyn AuditSink>,
}

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// An audit sink for [`TokenIssuer::with_audit`]: every event goes on to `sink`, and those that tell of the end of a session,
    /// a subject or a client, by revocation or for reuse, revoke here what is bound to it, in the background.
    ///
    /// The issuer tells of a subject or a client with each living session that it revokes, so of one without any it tells nothing:
    /// when you offboard, call [`revoke_subject`](Self::revoke_subject) or [`revoke_client`](Self::revoke_client) too.
    ///
    /// What fails is tried for five minutes. Then an [`Action::Fail`] with the session, the subject or the client goes to `sink`
    /// and to the audit of the vault: call the one of the three that it is about. If the process ends before,
    /// [`reconcile`](Self::reconcile) makes up for sessions, and the same two calls for subjects and clients.
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
        for end in End::told_by(event) {
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
