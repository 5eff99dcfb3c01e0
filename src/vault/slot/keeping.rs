//! What the application does with the vault besides leasing: put, rotate, introspect, list.

use super::CredentialVault;
use super::bound_to::BoundTo;
use super::content::check_length;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Attempts, Held, SecretVersion, State};
use super::info::CredentialInfo;
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, TokenStore};
use crate::vault::{Account, Credential, CredentialStatus, StaticSecret, UpstreamAct};

impl<S: TokenStore> CredentialVault<S> {
    /// Put `credential` into the vault, in the place of whatever `account` has there.
    ///
    /// The service is not told of what is replaced: most services end it by themselves when the user authorizes anew. To have
    /// it revoked there, call [`revoke`](Self::revoke) first. A revocation that is still to be retried goes on beside it; a
    /// service that revokes all tokens of a user at once then ends the new ones too.
    ///
    /// # Errors
    ///
    /// [`VaultErrorKind::TooLarge`] above 60 KiB; a fault of store, keys or randomness, after which the old credential is still there. Only
    /// after [`VaultErrorKind::StoreUncertain`] it may be either.
    pub async fn put(&self, account: &Account, credential: Credential, owner: BoundTo) -> Result<(), VaultError> {
        let mut held = Held {
            account: account.clone(),
            owner,
            generation: 0,
            mark: SecretVersion(self.random()?),
            obtained_at: self.now(),
            state: State::Active(Attempts::default()),
            credential,
        };
        check_length(&held)?;
        let mut moved = None;
        for _ in 0..MAX_ATTEMPTS {
            let (place, found) = self.find(account).await?;
            let is_moved = |(mark, _): &mut (SecretVersion, _)| found.as_ref().is_none_or(|found| found.mark != *mark);
            if let Some((mark, since)) = moved.take_if(is_moved) {
                self.discard_aside(mark, since, found.as_ref()).await?;
            }
            held.generation = match found {
                Some(found) => match found.state {
                    State::Revoking(withdrawal) => {
                        moved = Some((found.mark, withdrawal.since));
                        self.make_room(found, withdrawal).await?;
                        1
                    }
                    _ => found.generation.saturating_add(1),
                },
                None => 1,
            };
            if self.write(&place.with_new_key(), Some(&held)).await? == Commit::Applied {
                self.report(UpstreamAct::Put, None, &held);
                return Ok(());
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    /// Replace the static secret that `account` has; whose it is stays as it was. Returns whether there is one. Tokens are
    /// refreshed by the vault, not rotated by hand.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub async fn rotate(&self, account: &Account, secret: StaticSecret) -> Result<bool, VaultError> {
        let mut credential = Credential::Static(secret);
        for _ in 0..MAX_ATTEMPTS {
            let (place, found) = self.find(account).await?;
            let Some(mut held) = found.filter(Held::is_static_and_kept) else { return Ok(false) };
            held.generation = held.generation.saturating_add(1);
            (held.mark, held.obtained_at) = (SecretVersion(self.random()?), self.now());
            held.state = State::Active(Attempts::default());
            std::mem::swap(&mut held.credential, &mut credential);
            check_length(&held)?;
            if self.write(&place, Some(&held)).await? == Commit::Applied {
                self.report(UpstreamAct::Rotate, None, &held);
                return Ok(true);
            }
            std::mem::swap(&mut held.credential, &mut credential);
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    /// What the service says of what `account` has, for a page of one's connections. Nothing changes by it. `None` if the account
    /// has nothing here; [`CredentialStatus::Unknown`] if the service cannot tell, does not answer, or has no provider.
    ///
    /// # Errors
    ///
    /// A fault of store or keys.
    pub async fn introspect(&self, account: &Account) -> Result<Option<CredentialStatus>, VaultError> {
        let (_, Some(held)) = self.find(account).await? else { return Ok(None) };
        let Some(provider) = self.provider(account.service()) else { return Ok(Some(CredentialStatus::Unknown)) };
        Ok(Some(provider.introspect(&held.credential).await.unwrap_or(CredentialStatus::Unknown)))
    }

    /// What `subject` has in the vault, without any secret, by service and name of the account: for a page where users see
    /// and end their connections.
    ///
    /// # Errors
    ///
    /// A fault of store or keys; a record that does not open is one, once all others were read.
    pub async fn list(&self, subject: &str) -> Result<Vec<CredentialInfo>, VaultError> {
        let index = self.root().await?.subject(subject);
        let (all, fault) = self.listed(index).await?;
        let own = all.into_values().filter(|held| held.account.subject() == subject);
        let mut infos: Vec<_> = own.map(|held| CredentialInfo::of(held, &self.policy, self.now())).collect();
        infos.sort_by(|a, b| (&a.service, &a.name).cmp(&(&b.service, &b.name)));
        fault.map_or(Ok(infos), Err)
    }
}

impl Held {
    fn is_static_and_kept(&self) -> bool {
        matches!(self.credential, Credential::Static(_)) && !matches!(self.state, State::Revoking(_))
    }
}
