//! Revocation by token, session, subject and client, and the list of a subject's sessions.

use std::collections::BTreeMap;

use super::token_issuer::TokenIssuer;
use crate::audit::{Reason, RevocationReason};
use crate::decision::{self, Decision};
use crate::error::{Error, ErrorKind};
use crate::family::{Status, TokenFamily};
use crate::grant::{AccessClaims, Binding, Client};
use crate::id::FamilyId;
use crate::record::{self, CLIENT_INDEX, Found, MAX_ATTEMPTS, SUBJECT_INDEX};
use crate::store::{Pages, Select, TokenStore};
use crate::token::Presented;

impl<S: TokenStore> TokenIssuer<S> {
    /// Revokes the family of `token` if the token is genuine and was issued to `client` (RFC 7009).
    ///
    /// It takes access tokens, refresh tokens and codes of any age. `binding` is what the request proves: a public
    /// client must prove the key of a sender-constrained family. After `Ok`, answer the client with 200 in every case
    /// (§2.2). So the result does not tell what happened; the audit event does.
    ///
    /// # Errors
    ///
    /// [`Error`] if the server has a fault. The family may not be revoked then: answer 503, and the client retries.
    pub async fn revoke(&self, client: &Client, token: &str, binding: Option<&Binding>) -> Result<(), Error> {
        let presented = Presented::any(token, &self.keyring);
        let access = if presented.is_none() { self.verifier.open(token) } else { None };
        let Some(id) = presented.as_ref().map(Presented::family).or(access.as_ref().map(AccessClaims::family)) else {
            let _denied = self.refuse(Reason::Malformed, client, None);
            return Ok(());
        };
        let decide = |family: &TokenFamily| {
            let now = self.clock.now();
            let claim = access.as_ref().and_then(|claims| decision::contradiction(family, claims));
            let is_forged = |presented: &Presented| presented.authenticate(family, &self.keyring).is_none();
            Ok(Some(match claim {
                _ if presented.as_ref().is_some_and(is_forged) => Decision::refuse((), family, Reason::Forged, now),
                Some(claim) => Decision::forged((), family, claim, now),
                None => decision::revoke_by_token(family, client, binding, &self.context()),
            }))
        };
        if self.decide(id, decide).await?.is_none() {
            let _denied = self.refuse(Reason::UnknownFamily, client, Some(id));
        }
        Ok(())
    }

    /// Revokes one family of `subject`, as on a "your sessions" page. Returns whether `subject` has such a family; a
    /// family of another subject is left unchanged.
    ///
    /// # Errors
    ///
    /// [`Error`] if the server has a fault. The family may not be revoked then.
    pub async fn revoke_family(&self, subject: &str, id: FamilyId) -> Result<bool, Error> {
        let revoke = |family: &TokenFamily| {
            let owned = family.grant().subject() == subject;
            Ok(owned.then(|| decision::revoke(family, RevocationReason::Session, &self.context())))
        };
        Ok(self.decide(id, revoke).await?.is_some())
    }

    /// Revokes every family of `subject`, and returns how many were active.
    ///
    /// When this returns `Ok`, every family of `subject` whose first write was acknowledged before the call is revoked,
    /// even if other servers refresh, rotate keys or move records to another key meanwhile. A family that begins during
    /// the call, such as a login in progress, may stay active, as if it had begun afterwards: lock the user out first.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::UnknownKey`] if another server seals records with a newer key than this server has. The families
    ///   that could be listed are revoked; the others are not visible here. Call it on a server that has the key.
    /// * Any other [`Error`] if the server has a fault. Some families may not be revoked then: call it again.
    ///
    /// A server whose keyring has only one key leaves no note of that key. So never let two servers of one store have
    /// keyrings without a common key.
    pub async fn revoke_subject(&self, subject: &str) -> Result<usize, Error> {
        self.revoke_listed(SUBJECT_INDEX, subject, RevocationReason::Subject, None).await
    }

    /// Revokes every family of the client `client_id`, and returns how many were active. It guarantees what
    /// [`revoke_subject`](Self::revoke_subject) does.
    ///
    /// # Errors
    ///
    /// As [`revoke_subject`](Self::revoke_subject).
    pub async fn revoke_client(&self, client_id: &str) -> Result<usize, Error> {
        self.revoke_listed(CLIENT_INDEX, client_id, RevocationReason::Client, None).await
    }

    /// Revokes every other family of the subject of `family`, after reuse.
    pub(crate) async fn revoke_others(&self, family: &TokenFamily) -> Result<(), Error> {
        let subject = family.grant.subject();
        self.revoke_listed(SUBJECT_INDEX, subject, RevocationReason::Reuse, Some(family.id)).await.map(drop)
    }

    /// Revokes what [`list`](Self::list) finds, until it finds no active family.
    ///
    /// One pass suffices for each family that existed when it began, because the listing misses none of them and none
    /// becomes active again. The next pass is for families that began meanwhile.
    ///
    /// A failure on one family does not stop the others. Such a failure is returned even if no later pass meets it
    /// again, because the family may have moved to a key that this server does not have.
    async fn revoke_listed(
        &self,
        index: &str,
        value: &str,
        reason: RevocationReason,
        except: Option<FamilyId>,
    ) -> Result<usize, Error> {
        let (mut count, mut failed) = (0, None);
        for _ in 0..MAX_ATTEMPTS {
            let (families, fault) = self.list(index, value).await?;
            let alive = families.values().filter(|f| f.status == Status::Active && Some(f.id) != except);
            let alive: Vec<FamilyId> = alive.map(|family| family.id).collect();
            if alive.is_empty() {
                return fault.or(failed).map_or(Ok(count), Err);
            }
            for id in alive {
                match self.decide(id, |family| Ok(Some(decision::revoke(family, reason, &self.context())))).await {
                    Ok(revoked) => count += usize::from(revoked.is_some()),
                    Err(error) if error.is_about_one_record() => failed = Some(error),
                    Err(error) => return Err(error),
                }
            }
        }
        Err(Error::new(ErrorKind::Contention))
    }

    /// Returns the active families of `subject`, newest first.
    ///
    /// # Errors
    ///
    /// [`Error`] if the store fails or a record cannot be opened.
    pub async fn list_families(&self, subject: &str) -> Result<Vec<TokenFamily>, Error> {
        let now = self.clock.now();
        let (families, fault) = self.list(SUBJECT_INDEX, subject).await?;
        let is_live = |f: &TokenFamily| f.generation > 0 && f.is_live(&self.policies.lifetimes(&f.grant), now);
        let mut families: Vec<_> = families.into_values().filter(is_live).collect();
        families.sort_by_key(|family| std::cmp::Reverse(family.created_at));
        fault.map_or(Ok(families), Err)
    }

    /// Lists all families under `value`, by id, with the last error that kept a family from being read.
    ///
    /// A family is listed under an index key that is computed with the key that its record is sealed with, and a write
    /// may move it to another key. The listing still finds every family that existed when it began, or reports that it
    /// may have missed one:
    ///
    /// 1. A family moves to a higher key id or stays: every write takes its key from
    ///    [`Keyring::for_next_version`](crate::Keyring), and so does the re-key.
    /// 2. The keys are listed by rising id.
    /// 3. When the listing under key *k* ends, each such family has been found or is under a key above *k*. By
    ///    induction: before the listing under *k* begins, a family that has not been found is at *k* or above. If it
    ///    stays at *k* until the listing ends, the contract of [`TokenStore::list`] guarantees that it is found.
    ///    Otherwise it is above *k* at some moment, and by 1 it remains so.
    /// 4. After the last key each family has been found or is under a newer key than this server has. The server that
    ///    moved it there had noted that key in the store before. So the read of the note after the last page finds that
    ///    key, and the listing returns an error.
    ///
    /// The pages do not matter for this: what step 3 requires of a listing, it requires of all its pages together.
    async fn list(&self, index: &str, value: &str) -> Result<(BTreeMap<FamilyId, TokenFamily>, Option<Error>), Error> {
        let (mut families, mut fault) = (BTreeMap::new(), None);
        for keys in self.keyring.oldest_first() {
            let index = keys.index(index, value);
            let mut pages = Pages::new(&self.store, Select::Index(index));
            while let Some(records) = pages.next().await? {
                // The seal authenticates the index keys of a record; the store's claim alone is not enough.
                for record in records.into_iter().filter(|record| record.indexes.contains(&index)) {
                    match record::open(record, &self.keyring) {
                        Ok(Found { family, .. }) => drop(families.insert(family.id, family)),
                        Err(error) => fault = Some(error),
                    }
                }
            }
        }
        let missing = self.missing_key().await?;
        Ok((families, fault.or(missing)))
    }
}
