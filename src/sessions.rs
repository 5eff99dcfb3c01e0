//! The issuer's other half: revocation, a user's sessions, and the upkeep of the store.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use crate::audit::{Action, AuditEvent, Reason};
use crate::client::{Binding, Client};
use crate::decision::{self, Decision};
use crate::entropy::random;
use crate::error::{Error, ErrorKind};
use crate::family::{FamilyId, RevocationReason, Status, TokenFamily};
use crate::issuer::TokenIssuer;
use crate::record::{self, CLIENT_INDEX, Found, SUBJECT_INDEX};
use crate::store::{Commit, Record, RecordKey, Select, TokenStore};
use crate::token::Presented;

/// Records a page: enough to make round trips rare, little enough to hold.
const PAGE: usize = 256;

/// As in the issuer.
const MAX_ATTEMPTS: usize = 128;

impl<S: TokenStore> TokenIssuer<S> {
    /// Revoke the family of `token`, whatever kind of token it is and however old, if it is genuine and was issued to
    /// `client` (RFC 7009).
    ///
    /// The answer to the client is 200 in every case (§2.2), so nothing is returned: what happened is in the audit.
    pub async fn revoke(&self, client: &Client, token: &str, binding: Option<&Binding>) -> Result<(), Error> {
        let presented = Presented::any(token, &self.keyring);
        let access = if presented.is_none() { self.verifier.open(token) } else { None };
        let Some(id) = presented.as_ref().map(Presented::family).or(access.map(|claims| claims.family())) else {
            let _denied = self.refuse(Reason::Malformed, client);
            return Ok(());
        };
        let genuine = |family: &TokenFamily| {
            presented.as_ref().is_none_or(|presented| presented.authenticate(family, &self.keyring).is_some())
        };
        let found = self
            .transition(id, |family| {
                genuine(family).then(|| decision::revoke_by_token(family, client, binding, &self.context()))
            })
            .await?;
        if !found {
            let _denied = self.refuse(Reason::UnknownFamily, client);
        }
        Ok(())
    }

    /// End one session of `subject`, as on a "your sessions" page. Answers whether there is such a family of this subject;
    /// one of another subject is left alone.
    pub async fn revoke_family(&self, subject: &str, id: FamilyId) -> Result<bool, Error> {
        self.transition(id, |family| {
            let owned = family.grant().subject() == subject;
            owned.then(|| decision::revoke(family, RevocationReason::Session, &self.context()))
        })
        .await
    }

    /// Revoke every family of `subject`. Returns how many were alive.
    ///
    /// A family that begins while this runs may escape it, as if it had begun after: lock the user out first.
    pub async fn revoke_subject(&self, subject: &str) -> Result<usize, Error> {
        self.revoke_listed(SUBJECT_INDEX, subject, RevocationReason::Subject, None).await
    }

    /// Revoke every family of the client `client_id`. Returns how many were alive.
    pub async fn revoke_client(&self, client_id: &str) -> Result<usize, Error> {
        self.revoke_listed(CLIENT_INDEX, client_id, RevocationReason::Client, None).await
    }

    /// After reuse: every other family of the subject of `family`.
    pub(crate) async fn revoke_others(&self, family: &TokenFamily) -> Result<(), Error> {
        let subject = family.grant.subject();
        self.revoke_listed(SUBJECT_INDEX, subject, RevocationReason::Reuse, Some(family.id)).await.map(drop)
    }

    async fn revoke_listed(
        &self,
        index: &str,
        value: &str,
        reason: RevocationReason,
        except: Option<FamilyId>,
    ) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            let listed = self.list(index, value).await?;
            let alive = listed.values().filter(|f| f.status == Status::Active && Some(f.id) != except);
            let ids: Vec<FamilyId> = alive.map(|family| family.id).collect();
            if ids.is_empty() {
                return Ok(count);
            }
            for id in ids {
                self.transition(id, |family| Some(decision::revoke(family, reason, &self.context()))).await?;
                count += 1;
            }
        }
    }

    /// The families of `subject` that are alive, the newest first.
    pub async fn list_families(&self, subject: &str) -> Result<Vec<TokenFamily>, Error> {
        let now = self.clock.now();
        let mut families: Vec<_> = self.list(SUBJECT_INDEX, subject).await?.into_values().collect();
        families.retain(|f| f.generation > 0 && f.is_live(&self.policies.lifetimes(&f.grant), now));
        families.sort_by_key(|family| std::cmp::Reverse(family.created_at));
        Ok(families)
    }

    /// All families listed under `value`, by id.
    async fn list(&self, index: &str, value: &str) -> Result<BTreeMap<FamilyId, TokenFamily>, Error> {
        let mut families = BTreeMap::new();
        // Retired keys first: a family that moves to the primary key meanwhile is then met there.
        for keys in self.keyring.retired_then_primary() {
            let select = Select::Index(keys.index(index, value));
            let mut after = None;
            loop {
                let page = self.store.list(select, after, PAGE).await?;
                for record in page.records {
                    let family = record::open(record, &self.keyring)?.family;
                    let is = match index {
                        SUBJECT_INDEX => family.grant.subject(),
                        _ => family.grant.client_id(),
                    };
                    if is == value {
                        families.insert(family.id, family);
                    }
                }
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(families)
    }

    /// Load the family, decide, commit, report, until there is no conflict. `false` if there is no such family or `decide`
    /// does not want it.
    async fn transition(&self, id: FamilyId, decide: impl Fn(&TokenFamily) -> Option<Decision>) -> Result<bool, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(found) = self.load(id).await? else { return Ok(false) };
            let Some(Decision { write, event, .. }) = decide(&found.family) else { return Ok(false) };
            if let Some(next) = write
                && self.replace(&found, &next).await? == Commit::Conflict
            {
                continue;
            }
            event.into_iter().for_each(|event| self.report(event));
            return Ok(true);
        }
        Err(Error::new(ErrorKind::Contention))
    }

    /// Delete what has expired. Returns how many records were deleted.
    pub async fn purge(&self) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            let purged = self.store.purge(self.clock.now(), PAGE).await?;
            count += purged;
            if purged < PAGE {
                break;
            }
        }
        self.report(AuditEvent::new(self.clock.now(), Action::Purge { count }));
        Ok(count)
    }

    /// Purge now and then for ever, on whatever runtime `sleep` belongs to: `issuer.purge_every(hour, tokio::time::sleep)`.
    ///
    /// A run that fails is reported to the audit as [`Action::Fail`], and the next one tries again.
    pub async fn purge_every<F: Future<Output = ()>>(&self, interval: Duration, sleep: impl Fn(Duration) -> F) {
        loop {
            if self.purge().await.is_err() {
                self.report(AuditEvent::new(self.clock.now(), Action::Fail));
            }
            sleep(interval).await;
        }
    }

    /// Seal every record with the primary key that is still sealed with a retired one. Returns how many were.
    ///
    /// It may run while requests are served, and again after it was cut off. Tokens in the hands of clients are not touched:
    /// keep the retired key until the last of them has been rotated or has expired.
    pub async fn rekey(&self) -> Result<usize, Error> {
        let mut count = 0;
        let mut after = None;
        loop {
            let page = self.store.list(Select::All, after, PAGE).await?;
            for record in page.records {
                if record::key_id(&record) != Some(self.keyring.primary_id()) {
                    count += usize::from(self.rekey_record(record).await?);
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        self.report(AuditEvent::new(self.clock.now(), Action::Rekey { count }));
        Ok(count)
    }

    async fn rekey_record(&self, record: Record) -> Result<bool, Error> {
        let key: RecordKey = record.key;
        let mut current = Some(record);
        for _ in 0..MAX_ATTEMPTS {
            let Some(record) = current else { return Ok(false) };
            let expires_at = record.expires_at;
            let Found { family, version, sealed_with } = record::open(record, &self.keyring)?;
            if sealed_with == self.keyring.primary_id() {
                return Ok(false);
            }
            let nonce = random(&*self.entropy)?;
            let version = version.saturating_add(1);
            let resealed = record::seal(&family, version, expires_at, self.keyring.primary(), &nonce)?;
            if self.store.commit(resealed).await? == Commit::Apply {
                return Ok(true);
            }
            current = self.store.get(key).await?;
        }
        Err(Error::new(ErrorKind::Contention))
    }
}
