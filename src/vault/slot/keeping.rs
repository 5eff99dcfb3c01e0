//! What the application does with the vault besides leasing: put, rotate, introspect, list.

use std::sync::Arc;

use super::CredentialVault;
use super::entry::Entry;
use super::event::Event;
use super::outcome::Verdict;
use super::state::{Held, SecretId};
use crate::store::TokenStore;
use crate::vault::record::check_length;
use crate::vault::{
    Account, BoundTo, Credential, CredentialInfo, CredentialStatus, StaticSecret, UpstreamAct, VaultError,
};

impl<S: TokenStore> CredentialVault<S> {
    /// Puts `credential` into the vault, bound to `bound_to`, and replaces what `account` has there.
    ///
    /// The replaced credential is not revoked at the service, and reported as `upstream_replaced`: most services end it
    /// themselves when the user authorizes again. To revoke it, call [`revoke`](Self::revoke) first. Pending
    /// revocations of `account` continue, unless the service would [end the new
    /// grant](crate::vault::UpstreamProvider::revokes_whole_grants) with the old one: then they are cancelled and
    /// reported as `upstream_revoke_cancelled`.
    ///
    /// A record that does not open is replaced too, and reported as `upstream_unreadable`.
    ///
    /// # Errors
    ///
    /// [`VaultErrorKind::TooLarge`](crate::vault::VaultErrorKind::TooLarge) if the credential with its metadata is
    /// longer than 12 KiB. A fault of the store, the keys or the random source. After an error the old credential is
    /// still there, except after [`VaultErrorKind::StoreUncertain`](crate::vault::VaultErrorKind::StoreUncertain): then
    /// the vault holds the old one or the new one.
    pub async fn put(&self, account: &Account, credential: Credential, bound_to: BoundTo) -> Result<(), VaultError> {
        let held = self.held(credential, bound_to)?;
        check_length(account, &held)?;
        let ends_grants = self.provider(account.service()).is_some_and(|provider| provider.revokes_whole_grants());
        let (mut entry, is_unreadable) = self.find_or_replace(account).await?;
        self.apply(&mut entry, &Event::Put { held, ends_grants }).await?;
        if let Some(live) = entry.slot.current.filter(|_| is_unreadable) {
            self.report(UpstreamAct::Unreadable, None, account, &live.held);
        }
        Ok(())
    }

    /// Replaces the static secret of `account` and keeps its binding. Returns `false` if `account` has no static secret
    /// or it is being revoked. OAuth tokens are refreshed by the vault and cannot be rotated here.
    ///
    /// # Errors
    ///
    /// The errors of [`put`](Self::put). A record that does not open is not replaced.
    pub async fn rotate(&self, account: &Account, secret: StaticSecret) -> Result<bool, VaultError> {
        let held = self.held(Credential::Static(secret), BoundTo::subject())?;
        check_length(account, &held)?;
        let mut entry = self.find(account).await?;
        Ok(self.apply(&mut entry, &Event::Rotate { held }).await?.verdict == Verdict::Done)
    }

    /// A new secret.
    fn held(&self, credential: Credential, bound_to: BoundTo) -> Result<Held, VaultError> {
        let (id, obtained_at) = (SecretId(self.random()?), self.now());
        Ok(Held { id, generation: 0, obtained_at, bound_to, credential: Arc::new(credential) })
    }

    /// Asks the service whether the credential of `account` still works, for a page where users see their connections.
    /// The vault does not change.
    ///
    /// Returns `None` if the account has no credential, or it is being revoked. Returns [`CredentialStatus::Unknown`]
    /// if the service cannot say, does not answer within the policy's `claim`, or has no provider.
    ///
    /// # Errors
    ///
    /// A fault of the store or the keys.
    pub async fn introspect(&self, account: &Account) -> Result<Option<CredentialStatus>, VaultError> {
        let Some(live) = self.find(account).await?.slot.current else { return Ok(None) };
        let Some(provider) = self.provider(account.service()) else { return Ok(Some(CredentialStatus::Unknown)) };
        let answer = self.runtime.within(self.policy.claim, provider.introspect(&live.held.credential)).await;
        Ok(Some(answer.and_then(Result::ok).unwrap_or(CredentialStatus::Unknown)))
    }

    /// Lists the credentials of `subject`, without secrets, sorted by service and account name: for a page where users
    /// see and end their connections.
    ///
    /// # Errors
    ///
    /// A fault of the store or the keys. A record that does not open is such a fault; it is returned after all other
    /// records were read.
    pub async fn list(&self, subject: &str) -> Result<Vec<CredentialInfo>, VaultError> {
        let index = self.root().await?.subject(subject);
        let (all, fault) = self.listed(index).await?;
        let own = all.iter().filter(|entry| entry.account.subject() == subject);
        let info = |entry: &Entry| CredentialInfo::all(&entry.account, &entry.slot, &self.policy, self.now());
        let mut infos: Vec<_> = own.flat_map(info).collect();
        infos.sort_by(|a, b| (&a.service, &a.name).cmp(&(&b.service, &b.name)));
        fault.map_or(Ok(infos), Err)
    }
}
