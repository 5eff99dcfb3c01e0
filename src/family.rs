//! The token family: all tokens descended from one grant, kept as one record with one counter.

use crate::audit::{Reason, RevocationReason};
use crate::crypto::redacted::redacted;
use crate::grant::{Binding, Grant};
use crate::id::{FamilyId, IssuerId};
use crate::keys::KeyId;
use crate::policy::Lifetimes;
use crate::time::Timestamp;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Whether a family is active or revoked.
// Records name the variants by position: only ever append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Status {
    /// The family's tokens are valid until they expire.
    Active,
    /// The family is a tombstone: none of its tokens is accepted again.
    #[non_exhaustive]
    Revoked {
        /// When the family was revoked.
        at: Timestamp,
        /// Why the family was revoked.
        reason: RevocationReason,
    },
}

/// What the redemption of an authorization code must match.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct CodeCheck {
    /// SHA-256 of the code verifier (RFC 7636 §4.2, `S256`).
    pub(crate) challenge: [u8; 32],
    /// SHA-256 of the redirect URI.
    pub(crate) redirect: [u8; 32],
}

/// 32 random bytes that go into every token of the family and that no token reveals.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct FamilySecret(pub(crate) [u8; 32]);

redacted!(CodeCheck, FamilySecret);

/// How many seconds the record of an unredeemed code is kept after the code's lifetime. A store outage does not count
/// against that lifetime, so a code may still be redeemed later than its expiry says.
const CODE_REMAINS: u64 = 60 * 60;

/// When a generation was issued, and by which issuer's clock. The generation before it was spent at that moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) at: Timestamp,
    pub(crate) by: IssuerId,
}

/// All tokens descended from one grant, kept as one record of constant size.
///
/// An authorization code has generation 0, and each refresh token has the next generation. A token is *current* if its
/// generation is the family's generation. "Token family" is a term of the industry and not of an RFC: RFC 9700 §4.14.2
/// speaks of the refresh tokens "associated with the authorization grant".
#[derive(Clone, Debug)]
pub struct TokenFamily {
    pub(crate) id: FamilyId,
    pub(crate) grant: Arc<Grant>,
    pub(crate) generation: u64,
    pub(crate) created_at: Timestamp,
    /// When the current generation and the two before it were issued, newest first. The token of a generation contains
    /// the same time. So the family knows when each of its last three spent generations was spent.
    pub(crate) issued: [Issued; 3],
    /// When the current token was last used with success. The idle lifetime begins here.
    pub(crate) used_at: Timestamp,
    pub(crate) absolute_expires_at: Timestamp,
    pub(crate) status: Status,
    /// Behind a pointer, so that moving a family, for instance into a future, leaves no copy of the secret behind.
    pub(crate) secret: Arc<FamilySecret>,
    /// Kept as long as the code could be presented.
    pub(crate) code: Option<Arc<CodeCheck>>,
    /// Behind a pointer, as the code is: the space of one that is absent would carry what was on the stack into a future.
    pub(crate) binding: Option<Arc<Binding>>,
    /// How often spent tokens were answered with the current one, in this generation.
    pub(crate) retries: u32,
    /// Whether the client is known to have received the current generation.
    pub(crate) confirmed: bool,
    /// The key that the current token was made with.
    pub(crate) key_id: KeyId,
}

impl TokenFamily {
    /// Returns the id of the family.
    pub fn id(&self) -> FamilyId {
        self.id
    }

    /// Returns what the user consented to.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Returns the generation of the current token: 0 for a code, 1 for the first refresh token, and one more with each
    /// rotation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns when the family began, at the user's consent. Rotation does not change it.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Returns when the current token was issued.
    pub fn rotated_at(&self) -> Timestamp {
        let [newest, ..] = &self.issued;
        newest.at
    }

    /// Returns when the current token was issued or last used with success.
    pub fn last_used_at(&self) -> Timestamp {
        self.used_at
    }

    /// Returns when the family ends at the latest. Rotation does not extend it.
    pub fn absolute_expires_at(&self) -> Timestamp {
        self.absolute_expires_at
    }

    /// Returns whether the family is active or revoked.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns the key or fingerprint that the family is bound to, if there is one.
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_deref()
    }

    /// When the token of `generation` was spent, if it is among the last three that were spent.
    pub(crate) fn spent(&self, generation: u64) -> Option<Issued> {
        let age = self.generation.checked_sub(generation)?.checked_sub(1)?;
        self.issued.get(usize::try_from(age).ok()?).copied()
    }

    /// The latest time in the record. If a clock shows an earlier time, it is behind the clock that wrote the record.
    pub(crate) fn latest(&self) -> Timestamp {
        self.rotated_at().max(self.used_at)
    }

    /// The end of the absolute lifetime: the one set at the beginning, or the one by the policy in force if that is
    /// earlier.
    pub(crate) fn absolute_end(&self, lifetimes: &Lifetimes) -> Timestamp {
        self.absolute_expires_at.min(self.created_at.saturating_add(lifetimes.absolute))
    }

    /// When the current token expires if it is not used: a code after its own short lifetime, a refresh token after the
    /// idle lifetime.
    pub(crate) fn idle_end(&self, lifetimes: &Lifetimes) -> Timestamp {
        self.used_at.saturating_add(if self.generation == 0 { lifetimes.code } else { lifetimes.idle })
    }

    /// Why the family has ended, if it has: it is revoked, or past its absolute end.
    pub(crate) fn ended(&self, lifetimes: &Lifetimes, now: Timestamp) -> Option<Reason> {
        match self.status {
            Status::Revoked { reason, .. } => Some(Reason::Revoked(reason)),
            Status::Active => (now >= self.absolute_end(lifetimes)).then_some(Reason::AbsoluteExpired),
        }
    }

    /// Whether the family has neither ended nor been idle for too long.
    pub(crate) fn is_live(&self, lifetimes: &Lifetimes, now: Timestamp) -> bool {
        self.ended(lifetimes, now).is_none() && now < self.idle_end(lifetimes)
    }

    /// When the record may be purged.
    ///
    /// A tombstone stays until the absolute end. An active family may be purged after its idle end, rounded up to a
    /// 16th of the idle lifetime: without the rounding every rotation would rewrite the store's expiry index.
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
