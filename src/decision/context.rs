//! The circumstances of a decision.

use super::outages::Outages;
use crate::id::IssuerId;
use crate::keys::KeyId;
use crate::policy::PolicySet;
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
