//! The token family: one grant, one counter, one secret, one fate.

use crate::audit::{Reason, RevocationReason};
use crate::crypto::redacted::redacted;
use crate::grant::{Binding, Grant};
use crate::id::{FamilyId, IssuerId};
use crate::keys::KeyId;
use crate::policy::Lifetimes;
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Whether a family lives.
// Records name the variants by position: only ever append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Status {
    /// Its tokens are good until they expire.
    Active,
    /// It is a tombstone: none of its tokens is ever accepted again.
    #[non_exhaustive]
    Revoked {
        /// Since when.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
}

/// What the redemption of an authorization code has to match.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct CodeCheck {
    /// SHA-256 of the code verifier (RFC 7636 §4.2, `S256`).
    pub(crate) challenge: [u8; 32],
    /// SHA-256 of the redirect URI.
    pub(crate) redirect: [u8; 32],
}

/// 32 random bytes that every token of the family is made with, and that no token shows.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct FamilySecret([u8; 32]);

impl FamilySecret {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

redacted!(CodeCheck, FamilySecret);

/// A code's life stands still while the store is away: its record waits for an hour of that.
const CODE_REMAINS: u64 = 60 * 60;

/// When a generation was issued, and by which issuer's clock. At that moment the generation before it was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) at: Timestamp,
    pub(crate) by: IssuerId,
}

/// All tokens descended from one grant, as one record of constant size.
///
/// An authorization code is its generation 0, each refresh token the next; a token is *current* when its generation is the
/// family's. The industry's word for it is in no RFC: RFC 9700 §4.14.2 speaks of the refresh tokens "associated with the
/// authorization grant".
#[derive(Clone, Debug)]
pub struct TokenFamily {
    pub(crate) id: FamilyId,
    pub(crate) grant: Arc<Grant>,
    pub(crate) generation: u64,
    pub(crate) created_at: Timestamp,
    /// When the current generation was issued, and the two before it; its token says the same. So it is known of the last
    /// three spent generations when each was spent.
    pub(crate) issued: [Issued; 3],
    /// Last successful use of the current token: where the idle lifetime begins.
    pub(crate) used_at: Timestamp,
    pub(crate) absolute_expires_at: Timestamp,
    pub(crate) status: Status,
    /// Behind a pointer: a family that is moved, as within a future, leaves no copy of it.
    pub(crate) secret: Arc<FamilySecret>,
    /// Kept as long as the code could be presented.
    pub(crate) code: Option<CodeCheck>,
    pub(crate) binding: Option<Binding>,
    /// How often spent tokens were answered with the current one.
    pub(crate) retries: u32,
    /// Whether the current generation is known to have reached the client.
    pub(crate) confirmed: bool,
    /// The key that the current token was made with.
    pub(crate) key_id: KeyId,
}

impl TokenFamily {
    /// A new family: with a code to redeem it begins at generation 0, without one at generation 1.
    pub(crate) fn begin(
        (id, secret): (FamilyId, FamilySecret),
        grant: Grant,
        code: Option<CodeCheck>,
        binding: Option<Binding>,
        issued: Issued,
        absolute: Duration,
        key_id: KeyId,
    ) -> Self {
        Self {
            id,
            absolute_expires_at: issued.at.saturating_add(absolute),
            grant: Arc::new(grant),
            generation: if code.is_some() { 0 } else { 1 },
            created_at: issued.at,
            issued: [issued, Issued::default(), Issued::default()],
            used_at: issued.at,
            status: Status::Active,
            secret: secret.into(),
            code,
            binding,
            retries: 0,
            confirmed: false,
            key_id,
        }
    }

    /// Its name.
    pub fn id(&self) -> FamilyId {
        self.id
    }

    /// What the user consented to.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// How many times it has rotated. A code is 0, the first refresh token 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the user logged in. Rotation never changes it.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When the current token was issued.
    pub fn rotated_at(&self) -> Timestamp {
        let [newest, ..] = &self.issued;
        newest.at
    }

    /// When its refresh token or code was last used with success.
    pub fn last_used_at(&self) -> Timestamp {
        self.used_at
    }

    /// When it ends, whatever happens. Rotation never extends it.
    pub fn absolute_expires_at(&self) -> Timestamp {
        self.absolute_expires_at
    }

    /// Active or revoked.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What it is bound to.
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// When the token of `generation` was spent, if it is one of the last three that were.
    pub(crate) fn spent(&self, generation: u64) -> Option<Issued> {
        let age = self.generation.checked_sub(generation)?.checked_sub(1)?;
        self.issued.get(usize::try_from(age).ok()?).copied()
    }

    /// The latest time that it knows of. A clock that shows less is behind the one it was written by.
    pub(crate) fn latest(&self) -> Timestamp {
        self.rotated_at().max(self.used_at)
    }

    /// The end of its absolute lifetime: what it began with, or what the policy says now if that is sooner.
    pub(crate) fn absolute_end(&self, lifetimes: &Lifetimes) -> Timestamp {
        self.absolute_expires_at.min(self.created_at.saturating_add(lifetimes.absolute))
    }

    /// When the current token dies of disuse: a code of its own short lifetime, a refresh token of the idle lifetime.
    pub(crate) fn idle_end(&self, lifetimes: &Lifetimes) -> Timestamp {
        self.used_at.saturating_add(if self.generation == 0 { lifetimes.code } else { lifetimes.idle })
    }

    /// Why it is over, if it is: revoked, or past its end.
    pub(crate) fn ended(&self, lifetimes: &Lifetimes, now: Timestamp) -> Option<Reason> {
        match self.status {
            Status::Revoked { reason, .. } => Some(Reason::Revoked(reason)),
            Status::Active => (now >= self.absolute_end(lifetimes)).then_some(Reason::AbsoluteExpired),
        }
    }

    /// Whether it is neither over nor idle.
    pub(crate) fn is_live(&self, lifetimes: &Lifetimes, now: Timestamp) -> bool {
        self.ended(lifetimes, now).is_none() && now < self.idle_end(lifetimes)
    }

    /// From when on its record may be purged. A tombstone stays until the absolute end. A living family goes after its idle
    /// end, rounded up to a 16th of the idle lifetime, so that the expiry index is not rewritten by every rotation.
    pub(crate) fn purge_at(&self, lifetimes: &Lifetimes) -> Timestamp {
        let end = match self.status {
            Status::Revoked { .. } => return self.absolute_expires_at,
            Status::Active => self.idle_end(lifetimes).as_unix(),
        };
        let step = (lifetimes.idle.as_secs() / 16).max(1);
        let end = match self.generation {
            0 => end.saturating_add(CODE_REMAINS),
            _ => end.div_ceil(step).saturating_mul(step),
        };
        Timestamp::from_unix(end).min(self.absolute_expires_at)
    }
}
