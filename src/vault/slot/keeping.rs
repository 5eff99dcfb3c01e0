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
    /// Puts `credential` into the vault, bound to `bound_to`, and replaces what `account` has there.
    ///
    /// The replaced credential is not revoked at the service: most services end it themselves when the user authorizes
    /// again. To revoke it, call [`revoke`](Self::revoke) first. A pending revocation of `account` continues; a service
    /// that revokes all tokens of a user together then ends the new ones too.
    ///
    /// # Errors
    ///
    /// [`VaultErrorKind::TooLarge`] if the credential with its metadata is longer than 60 KiB. A fault of the store,
    /// the keys or the random source. After an error the old credential is still there, except after
    /// [`VaultErrorKind::StoreUncertain`]: then the vault holds the old one or the new one.
    pub async fn put(&self, account: &Account, credential: Credential, bound_to: BoundTo) -> Result<(), VaultError> {
        let mut held = Held {
            account: account.clone(),
            bound_to,
            generation: 0,
            version: SecretVersion(self.random()?),
            obtained_at: self.now(),
            state: State::Active(Attempts::default()),
            credential,
        };
        check_length(&held)?;
        let mut moved_aside = None;
        for _ in 0..MAX_ATTEMPTS {
            let (place, found) = self.find(account).await?;
            let was_replaced =
                |(version, _): &mut (SecretVersion, _)| found.as_ref().is_none_or(|found| found.version != *version);
            if let Some((version, since)) = moved_aside.take_if(was_replaced) {
                self.discard_aside(version, since, found.as_ref()).await?;
            }
            held.generation = match found {
                Some(found) => match found.state {
                    State::Revoking(progress) => {
                        moved_aside = Some((found.version, progress.since));
                        self.make_room(found, progress).await?;
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

    /// Replaces the static secret of `account` and keeps its binding. Returns `false` if `account` has no static secret
    /// or it is being revoked. OAuth tokens are refreshed by the vault and cannot be rotated here.
    ///
    /// # Errors
    ///
    /// The errors of [`put`](Self::put).
    pub async fn rotate(&self, account: &Account, secret: StaticSecret) -> Result<bool, VaultError> {
        let mut credential = Credential::Static(secret);
        for _ in 0..MAX_ATTEMPTS {
            let (place, found) = self.find(account).await?;
            let Some(mut held) = found.filter(Held::is_static_and_kept) else { return Ok(false) };
            held.generation = held.generation.saturating_add(1);
            (held.version, held.obtained_at) = (SecretVersion(self.random()?), self.now());
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

    /// Asks the service whether the credential of `account` still works, for a page where users see their connections.
    /// The vault does not change.
    ///
    /// Returns `None` if the account has no credential. Returns [`CredentialStatus::Unknown`] if the service cannot
    /// say, does not answer, or has no provider.
    ///
    /// # Errors
    ///
    /// A fault of the store or the keys.
    pub async fn introspect(&self, account: &Account) -> Result<Option<CredentialStatus>, VaultError> {
        let (_, Some(held)) = self.find(account).await? else { return Ok(None) };
        let Some(provider) = self.provider(account.service()) else { return Ok(Some(CredentialStatus::Unknown)) };
        Ok(Some(provider.introspect(&held.credential).await.unwrap_or(CredentialStatus::Unknown)))
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
