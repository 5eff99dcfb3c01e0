//! The byte format of a slot, before it is sealed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::grant::Scope;
use crate::id::FamilyId;
use crate::record::sealed;
use crate::time::Timestamp;
use crate::vault::bound_to::BoundTo;
use crate::vault::slot::state::{BackOff, Ending, Held, Live, Phase, SecretId, Slot, Step};
use crate::vault::stored_tokens::StoredTokens;
use crate::vault::vault_error::{VaultError, corrupt};
use crate::vault::{Account, Credential, Secret, SecretText, StaticSecret};

/// The largest secret with its metadata. A record of 64 KiB has room for five of them, for the seal, and for the
/// longest wrapped key: the secret that is leased and four that wait for their revocation. So each can be revoked.
const MAX_LEN: usize = 12 * 1024;

/// The version of this format. Postcard encodes variants by position: append variants only, and raise the version to
/// add a field.
const VERSION: u8 = 3;

/// A slot. An empty one names no account.
#[derive(Serialize, Deserialize)]
struct StoredSlot<'a> {
    generation: u64,
    #[serde(borrow)]
    account: Option<StoredAccount<'a>>,
    current: Option<StoredLive<'a>>,
    ending: Vec<StoredEnding<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredAccount<'a> {
    subject: &'a str,
    service: &'a str,
    name: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct StoredLive<'a> {
    #[serde(borrow)]
    held: StoredHeld<'a>,
    in_doubt: bool,
    back_off: BackOff,
    phase: Phase,
}

#[derive(Serialize, Deserialize)]
struct StoredEnding<'a> {
    #[serde(borrow)]
    held: StoredHeld<'a>,
    since: Timestamp,
    in_doubt: bool,
    is_renewed: bool,
    back_off: BackOff,
    step: Step,
}

#[derive(Serialize, Deserialize)]
struct StoredHeld<'a> {
    id: SecretId,
    generation: u64,
    obtained_at: Timestamp,
    session: Option<[u8; 16]>,
    client_id: Option<&'a str>,
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

/// Encodes the slot of `account`.
pub(crate) fn encode(account: &Account, slot: &Slot) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let current = slot.current.as_ref().map(StoredLive::of);
    let ending: Vec<_> = slot.ending.iter().map(StoredEnding::of).collect();
    let account = (!slot.is_empty()).then(|| StoredAccount::of(account));
    Ok(sealed::encode(&(VERSION, StoredSlot { generation: slot.generation, account, current, ending }))?)
}

/// Checks the length of a secret of `account`. Call it for each secret that comes in.
///
/// # Errors
///
/// [`VaultErrorKind::TooLarge`](crate::vault::VaultErrorKind::TooLarge) beyond [`MAX_LEN`].
pub(crate) fn check_length(account: &Account, held: &Held) -> Result<(), VaultError> {
    let length = sealed::encode(&(StoredAccount::of(account), StoredHeld::of(held)))?.len();
    if length > MAX_LEN {
        Err(VaultError::too_large("a credential with its metadata", length, MAX_LEN))
    } else {
        Ok(())
    }
}

/// Decodes what [`encode`] made. An empty slot has no account.
pub(crate) fn decode(content: &[u8]) -> Result<(Option<Account>, Slot), VaultError> {
    match postcard::take_from_bytes::<(u8, StoredSlot<'_>)>(content) {
        Ok(((VERSION, StoredSlot { generation, account, current, ending }), [])) => {
            let current = current.map(StoredLive::into_live);
            let ending = ending.into_iter().map(StoredEnding::into_ending).collect();
            Ok((account.map(StoredAccount::into_account), Slot { generation, current, ending }))
        }
        _ => Err(corrupt()),
    }
}

impl<'a> StoredAccount<'a> {
    fn of(account: &'a Account) -> Self {
        Self { subject: account.subject(), service: account.service(), name: account.name() }
    }

    fn into_account(self) -> Account {
        let account = Account::new(self.subject, self.service);
        match self.name {
            Some(name) => account.named(name),
            None => account,
        }
    }
}

impl<'a> StoredLive<'a> {
    fn of(live: &'a Live) -> Self {
        let Live { held, in_doubt, back_off, phase } = live;
        Self { held: StoredHeld::of(held), in_doubt: *in_doubt, back_off: *back_off, phase: *phase }
    }

    fn into_live(self) -> Live {
        let Self { held, in_doubt, back_off, phase } = self;
        Live { held: held.into_held(), in_doubt, back_off, phase }
    }
}

impl<'a> StoredEnding<'a> {
    fn of(ending: &'a Ending) -> Self {
        let Ending { held, since, in_doubt, is_renewed, back_off, step } = ending;
        Self {
            held: StoredHeld::of(held),
            since: *since,
            in_doubt: *in_doubt,
            is_renewed: *is_renewed,
            back_off: *back_off,
            step: *step,
        }
    }

    fn into_ending(self) -> Ending {
        let Self { held, since, in_doubt, is_renewed, back_off, step } = self;
        Ending { held: held.into_held(), since, in_doubt, is_renewed, back_off, step }
    }
}

impl<'a> StoredHeld<'a> {
    fn of(held: &'a Held) -> Self {
        let Held { id, generation, obtained_at, bound_to, credential } = held;
        Self {
            id: *id,
            generation: *generation,
            obtained_at: *obtained_at,
            session: bound_to.session.map(|family| *family.as_bytes()),
            client_id: bound_to.client_id.as_deref(),
            credential: StoredCredential::of(credential),
        }
    }

    fn into_held(self) -> Held {
        let session = self.session.map(FamilyId::from_bytes);
        Held {
            id: self.id,
            generation: self.generation,
            obtained_at: self.obtained_at,
            bound_to: BoundTo { session, client_id: self.client_id.map(Into::into) },
            credential: Arc::new(self.credential.into_credential()),
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
