//! The byte format of a credential, before it is sealed.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::bound_to::BoundTo;
use super::error::{VaultError, corrupt};
use super::held::{Held, SecretVersion, State};
use crate::grant::Scope;
use crate::id::FamilyId;
use crate::record::sealed;
use crate::time::Timestamp;
use crate::vault::stored_tokens::StoredTokens;
use crate::vault::{Account, Credential, Secret, SecretText, StaticSecret};

/// The largest content: 60 of the 64 KiB of a payload. The rest is for the seal, for the longest wrapped key, and for
/// what a refresh or a revocation adds. So each stored credential can be revoked.
const MAX_LEN: usize = 60 * 1024;

/// The version of this format. Postcard encodes variants by position: append variants only, and raise the version to
/// add a field.
const VERSION: u8 = 2;

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    subject: &'a str,
    service: &'a str,
    name: Option<&'a str>,
    session: Option<[u8; 16]>,
    client_id: Option<&'a str>,
    generation: u64,
    version: SecretVersion,
    obtained_at: Timestamp,
    state: State,
    #[serde(borrow)]
    credential: StoredCredential<'a>,
}

#[derive(Serialize, Deserialize)]
enum StoredCredential<'a> {
    #[serde(borrow)]
    OAuth(StoredTokens<'a>),
    Static {
        #[serde(borrow)]
        secret: StoredSecret<'a>,
        scope: &'a str,
        rotate_by: Option<Timestamp>,
    },
}

#[derive(Serialize, Deserialize)]
enum StoredSecret<'a> {
    ApiKey(&'a str),
    Password { username: &'a str, password: &'a str },
    KeyPair { id: &'a str, secret: &'a str },
}

/// Encodes `held`; `None` encodes that the credential is gone.
pub(crate) fn encode(held: Option<&Held>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    Ok(sealed::encode(&(VERSION, held.map(Stored::of)))?)
}

/// Checks that `held` leaves room for what a refresh or a revocation adds. Call it for each secret that comes in.
///
/// # Errors
///
/// [`VaultErrorKind::TooLarge`](super::VaultErrorKind::TooLarge) beyond [`MAX_LEN`].
pub(crate) fn check_length(held: &Held) -> Result<(), VaultError> {
    let length = encode(Some(held))?.len();
    if length > MAX_LEN {
        Err(VaultError::too_large("a credential with its metadata", length, MAX_LEN))
    } else {
        Ok(())
    }
}

/// Decodes what [`encode`] made.
pub(crate) fn decode(content: &[u8]) -> Result<Option<Held>, VaultError> {
    match postcard::take_from_bytes::<(u8, Option<Stored<'_>>)>(content) {
        Ok(((VERSION, stored), [])) => Ok(stored.map(Stored::into_held)),
        _ => Err(corrupt()),
    }
}

impl<'a> Stored<'a> {
    fn of(held: &'a Held) -> Self {
        let Held { account, bound_to, generation, version, obtained_at, state, credential } = held;
        Self {
            subject: account.subject(),
            service: account.service(),
            name: account.name(),
            session: bound_to.session.map(|family| *family.as_bytes()),
            client_id: bound_to.client_id.as_deref(),
            generation: *generation,
            version: *version,
            obtained_at: *obtained_at,
            state: *state,
            credential: StoredCredential::of(credential),
        }
    }

    fn into_held(self) -> Held {
        let account = Account::new(self.subject, self.service);
        Held {
            account: match self.name {
                Some(name) => account.named(name),
                None => account,
            },
            bound_to: BoundTo {
                session: self.session.map(FamilyId::from_bytes),
                client_id: self.client_id.map(Into::into),
            },
            generation: self.generation,
            version: self.version,
            obtained_at: self.obtained_at,
            state: self.state,
            credential: self.credential.into_credential(),
        }
    }
}

impl<'a> StoredCredential<'a> {
    fn of(credential: &'a Credential) -> Self {
        match credential {
            Credential::OAuth(tokens) => Self::OAuth(StoredTokens::of(tokens)),
            Credential::Static(StaticSecret { secret, scope, rotate_by }) => {
                Self::Static { secret: StoredSecret::of(secret), scope: scope.as_str(), rotate_by: *rotate_by }
            }
        }
    }

    fn into_credential(self) -> Credential {
        match self {
            Self::OAuth(tokens) => Credential::OAuth(tokens.into_tokens()),
            Self::Static { secret, scope, rotate_by } => {
                let (secret, scope) = (secret.into_secret(), Scope::from_canonical(scope));
                Credential::Static(StaticSecret { secret, scope, rotate_by })
            }
        }
    }
}

impl<'a> StoredSecret<'a> {
    fn of(secret: &'a Secret) -> Self {
        match secret {
            Secret::ApiKey(key) => Self::ApiKey(key.expose()),
            Secret::Password { username, password } => Self::Password { username, password: password.expose() },
            Secret::KeyPair { id, secret } => Self::KeyPair { id, secret: secret.expose() },
        }
    }

    fn into_secret(self) -> Secret {
        match self {
            Self::ApiKey(key) => Secret::ApiKey(SecretText::new(key)),
            Self::Password { username, password } => Secret::password(username, SecretText::new(password)),
            Self::KeyPair { id, secret } => Secret::key_pair(id, SecretText::new(secret)),
        }
    }
}
