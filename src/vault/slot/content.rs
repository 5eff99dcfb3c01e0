//! A credential as the bytes that are sealed.

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

/// What a secret may come to with all that is kept with it: 60 of the 64 KiB of a payload. The rest is for the seal, for the
/// longest wrapped key that there can be, and for what a refresh or a revocation adds; so whatever is kept can be revoked.
const MAX_LEN: usize = 60 * 1024;

/// Of the layout below. Postcard tells variants by position: append them and no fields, or begin a new version.
const VERSION: u8 = 2;

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    subject: &'a str,
    service: &'a str,
    name: Option<&'a str>,
    session: Option<[u8; 16]>,
    client_id: Option<&'a str>,
    generation: u64,
    mark: SecretVersion,
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

/// `held`, or that it is gone.
pub(crate) fn encode(held: Option<&Held>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    Ok(sealed::encode(&(VERSION, held.map(Stored::of)))?)
}

/// Whether there is room for what may happen to `held`: to be checked whenever a secret comes in.
pub(crate) fn check_length(held: &Held) -> Result<(), VaultError> {
    let length = encode(Some(held))?.len();
    if length > MAX_LEN {
        Err(VaultError::too_large("with all that is kept with it, it", length, MAX_LEN))
    } else {
        Ok(())
    }
}

/// What [`encode`] made.
pub(crate) fn decode(content: &[u8]) -> Result<Option<Held>, VaultError> {
    match postcard::take_from_bytes::<(u8, Option<Stored<'_>>)>(content) {
        Ok(((VERSION, stored), [])) => Ok(stored.map(Stored::into_held)),
        _ => Err(corrupt()),
    }
}

impl<'a> Stored<'a> {
    fn of(held: &'a Held) -> Self {
        let Held { account, owner, generation, mark, obtained_at, state, credential } = held;
        Self {
            subject: account.subject(),
            service: account.service(),
            name: account.name(),
            session: owner.session.map(|family| *family.as_bytes()),
            client_id: owner.client_id.as_deref(),
            generation: *generation,
            mark: *mark,
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
            owner: BoundTo {
                session: self.session.map(FamilyId::from_bytes),
                client_id: self.client_id.map(Into::into),
            },
            generation: self.generation,
            mark: self.mark,
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
