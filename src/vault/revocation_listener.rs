//! Revocations that follow the end of a session, subject or client of this server.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::CredentialVault;
use super::patience::Patience;
use super::record::Root;
use super::slot::event::Whom;
use super::slot::revoking::Revocations;
use super::vault_error::VaultError;
use crate::audit::{Action, AuditEvent, AuditSink, Reason, RevocationReason, UpstreamReason};
use crate::error::Error;
use crate::id::FamilyId;
use crate::issuer::TokenIssuer;
use crate::policy::OnReuse;
use crate::record::{Found, sealed};
use crate::store::{Pages, Record, Select, TokenStore};
use crate::time::Timestamp;

/// For how long a revocation that a [`RevocationListener`] has begun is retried.
const PERSISTENCE: Duration = Duration::from_secs(5 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The pause before a subject or client is revoked again that was reported again meanwhile: the issuer reports it once
/// for each of its sessions.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(1);

impl<S: TokenStore + 'static> CredentialVault<S> {
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
        let (mut count, mut fault) = (0, None);
        let mut pages = Pages::new(&*self.store, Select::All);
        while let Some(records) = self.watch.observe(&*self.clock, pages.next()).await? {
            for record in records {
                match self.reconcile_record(&record, issuer).await {
                    Ok(revoked) => count += revoked,
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    Err(error) => return Err(error),
                }
            }
        }
        fault.map_or(Ok(count), Err)
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
        let entry = self.open(record, None).await?;
        Ok(entry.and_then(|entry| entry.slot.current).and_then(|live| live.held.bound_to.session))
    }
}

/// Whether a session is revoked, expired or unknown.
async fn is_over<T: TokenStore>(session: FamilyId, issuer: &TokenIssuer<T>) -> Result<bool, Error> {
    let Some(Found { family, .. }) = issuer.load(session).await? else { return Ok(true) };
    Ok(!family.is_live(&issuer.policies.lifetimes(&family.grant), issuer.clock.now()))
}

/// A session, subject or client that an event reports as ended.
#[derive(Clone, PartialEq, Eq, Hash)]
enum End {
    Session(FamilyId),
    Subject(Arc<str>),
    Client(Arc<str>),
}

impl End {
    /// What `event` reports as ended, and the session that ended with it.
    fn reported_by(event: &AuditEvent) -> Option<(Self, Option<FamilyId>)> {
        let session = event.family.map(Self::Session);
        let wider = match event.action {
            Action::Revoke(RevocationReason::Subject) | Action::Reuse(OnReuse::RevokeSubject) => {
                event.subject.clone().map(Self::Subject)
            }
            Action::Revoke(RevocationReason::Client) => event.client_id.clone().map(Self::Client),
            Action::Revoke(_) | Action::Reuse(OnReuse::RevokeFamily) => None,
            _ => return None,
        };
        match wider {
            Some(wider) => Some((wider, event.family)),
            None => session.map(|session| (session, None)),
        }
    }

    /// The event for credentials that could not be revoked.
    fn missed(&self, at: Timestamp) -> AuditEvent {
        let event = AuditEvent::new(at, Action::Fail).because(Reason::Upstream(UpstreamReason::Fault));
        match self {
            Self::Session(family) => AuditEvent { family: Some(*family), ..event },
            Self::Subject(subject) => AuditEvent { subject: Some(subject.clone()), ..event },
            Self::Client(client_id) => AuditEvent { client_id: Some(client_id.clone()), ..event },
        }
    }
}

/// An audit sink that revokes credentials when the session, subject or client that they are bound to ends.
/// [`CredentialVault::revocation_sink`] creates it.
pub struct RevocationListener<S> {
    vault: CredentialVault<S>,
    sink: Arc<dyn AuditSink>,
    cascades: Arc<Mutex<HashMap<End, Cascade>>>,
}

/// The revocations that follow one end, and the sessions that ended with it. An end that is reported again is revoked
/// once more and not once for each report: otherwise the work would grow with the square of the number of sessions.
#[derive(Default)]
struct Cascade {
    is_repeated: bool,
    sessions: Vec<FamilyId>,
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
        RevocationListener { vault: self.clone(), sink: Arc::new(sink), cascades: Arc::default() }
    }

    /// Revokes in the vault what is bound to `end`.
    async fn begin_for(&self, end: &End) -> Result<Revocations, VaultError> {
        let root = self.root().await?;
        let (index, whom) = match end {
            End::Session(family) => (root.session(*family), Whom::Session(*family)),
            End::Subject(subject) => (root.subject(subject), Whom::Account),
            End::Client(client_id) => (root.client(client_id), Whom::Client(client_id.clone())),
        };
        Ok(self.begin_listed(index, whom).await?.1)
    }
}

impl<S: TokenStore + 'static> AuditSink for RevocationListener<S> {
    fn record(&self, event: &AuditEvent) {
        self.sink.record(event);
        let Some((end, session)) = End::reported_by(event) else { return };
        let mut cascades = self.cascades();
        let is_new = !cascades.contains_key(&end);
        let cascade = cascades.entry(end.clone()).or_default();
        cascade.is_repeated = !is_new;
        cascade.sessions.extend(session);
        drop(cascades);
        if is_new {
            let listener = self.clone();
            drop(self.vault.in_background(async move { listener.follow(end).await }));
        }
    }
}

impl<S: TokenStore + 'static> RevocationListener<S> {
    /// Revokes what is bound to `end`, then to the sessions that ended with it, until no more is reported.
    async fn follow(&self, end: End) {
        loop {
            self.revoke(&end).await;
            while let Some(session) = self.next_session(&end) {
                self.revoke(&End::Session(session)).await;
            }
            if self.is_complete(&end) {
                return;
            }
            self.vault.runtime.sleep(BETWEEN_ROUNDS).await;
        }
    }

    fn next_session(&self, end: &End) -> Option<FamilyId> {
        self.cascades().get_mut(end)?.sessions.pop()
    }

    /// Forgets the cascade of `end`, unless it was reported again.
    fn is_complete(&self, end: &End) -> bool {
        let mut cascades = self.cascades();
        let is_repeated = cascades.get_mut(end).is_some_and(|cascade| std::mem::take(&mut cascade.is_repeated));
        if !is_repeated {
            cascades.remove(end);
        }
        !is_repeated
    }

    /// Revokes what is bound to `end`, and retries while the store fails. The services are asked in the background.
    async fn revoke(&self, end: &End) {
        let (vault, mut patience) = (&self.vault, Patience::new(PERSISTENCE, LONGEST_PAUSE));
        loop {
            if let Ok(revocations) = vault.begin_for(end).await {
                let (is_complete, at_services) = (revocations.is_complete(), vault.clone());
                // A service that fails is asked again by the upkeep.
                drop(vault.in_background(async move { at_services.finish_all(revocations).await }));
                if is_complete {
                    return;
                }
            }
            if !patience.pause(&vault.runtime).await {
                let event = end.missed(vault.now());
                vault.audit.record(&event);
                return self.sink.record(&event);
            }
        }
    }

    fn cascades(&self) -> MutexGuard<'_, HashMap<End, Cascade>> {
        self.cascades.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Written by hand, because a derived implementation would require `S: Clone`.
impl<S> Clone for RevocationListener<S> {
    fn clone(&self) -> Self {
        Self { vault: self.vault.clone(), sink: self.sink.clone(), cascades: self.cascades.clone() }
    }
}

impl<S: fmt::Debug> fmt::Debug for RevocationListener<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationListener").field("vault", &self.vault).finish_non_exhaustive()
    }
}
