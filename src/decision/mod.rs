//! The decisions: pure functions from what is and what is asked to what is to be written, answered and reported.
//!
//! No clock, no randomness, no I/O: state, request, policies and time come in as values. The order of the checks is the
//! security argument. Format, guard and MAC come before ([`Presented`](crate::Presented), [`Genuine`](crate::Genuine));
//! then client, then binding; up to there nothing is written, and every refusal looks the same from outside. Only then
//! the family's status, its end, and the generation decide.
//!
//! | presented *g*, current *G* | condition | act |
//! |---|---|---|
//! | *g* = *G* | a code | `Redeem`: generation 1 |
//! | *g* = *G* | the policy rotates | `Rotate`: generation *G* + 1 |
//! | *g* = *G* | the policy rotates, and the token of *G* − 3 is still in its leeway | `Keep` |
//! | *g* = *G* | otherwise | `Keep`: the same token, made with the primary key |
//! | *g* < *G* | within the leeway of *g*, retry limit not reached | `Retry`: the current token |
//! | *g* = *G* − 1 | this issuer never answered the rotation, which is less than a minute old | `Retry` |
//! | *g* = *G* − 1 | within the lost-response window, successor never seen | `Retry` |
//! | *g* < *G* otherwise | the token's own idle life not over | `Reuse` |
//! | *g* < *G* otherwise | the token's own idle life over | `Deny` |
//! | *g* > *G* | genuine, ahead of the store | `Deny`, or `FastForward` |
//! | any | the family is revoked or expired | `Deny` |
//!
//! The leeway of a token runs from when that token was spent. A record remembers this of the last three, so a fourth rotation
//! within one leeway does not take place: no burst of an honest client's requests meets a token that was forgotten. A code has
//! no leeway, unless the policy gives it one.

mod introspect;
mod issue;
mod redeem;
mod refresh;
mod revoke;
mod rotation;
mod window;

pub use self::introspect::{contradiction, introspect_refresh, live};
pub use self::issue::{Issue, issue};
pub use self::redeem::{Redemption, redeem};
pub use self::refresh::refresh;
pub use self::revoke::{revoke, revoke_by_token};
pub use self::rotation::Ask;

use crate::audit::{Action, AuditEvent, Claim, Reason};
use crate::family::{IssuerId, TokenFamily};
use crate::keyring::KeyId;
use crate::outage::Outages;
use crate::policy::PolicySet;
use crate::response::ErrorCode;
use crate::time::Timestamp;

/// The circumstances under which a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The policies in force now.
    pub policies: &'a PolicySet,
    /// The key that a new token is made with.
    pub key_id: KeyId,
    /// The issuer that decides.
    pub issuer: IssuerId,
    /// The time.
    pub now: Timestamp,
    /// When this issuer could not reach its store.
    pub outages: Outages,
    /// The generation of the family that this issuer may have committed and has never answered.
    pub unanswered: Option<u64>,
}

/// What to do, in this order: seal what is to be issued, write, report, answer. If the write meets a conflict nothing has
/// happened: load again and decide again.
#[derive(Debug)]
#[must_use = "a denial can carry a write: a revocation must not be lost"]
#[non_exhaustive]
pub struct Decision<T = Verdict> {
    /// The family's next state, if it changes.
    pub write: Option<TokenFamily>,
    /// What to answer.
    pub verdict: T,
    /// What to report, once the write is done.
    pub event: Option<AuditEvent>,
}

/// What to answer to a token request.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "made once and taken apart at once")]
pub enum Verdict {
    /// Tokens.
    Issue(Issue),
    /// A refusal.
    Deny(ErrorCode),
    /// Every family of the subject is to be revoked, then the write done; then a refusal.
    RevokeSubject(ErrorCode),
}

impl<T> Decision<T> {
    /// Nothing changes, and the reason is reported.
    pub(crate) fn refuse(verdict: T, family: &TokenFamily, reason: Reason, now: Timestamp) -> Self {
        let event = AuditEvent::on_family(now, Action::Deny, family).because(reason);
        Self { write: None, verdict, event: Some(event) }
    }

    /// Nothing changes, and it is reported that `claim` of an authentic access token contradicts `family`.
    pub(crate) fn forged(verdict: T, family: &TokenFamily, claim: Claim, now: Timestamp) -> Self {
        let event = AuditEvent::on_family(now, Action::Forgery, family).because(Reason::Forgery(claim));
        Self { write: None, verdict, event: Some(event) }
    }
}
