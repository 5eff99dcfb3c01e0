//! The circumstances of a decision.

use super::outages::Outages;
use crate::id::IssuerId;
use crate::keys::KeyId;
use crate::policy::PolicySet;
use crate::time::Timestamp;

/// The circumstances under which a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The policies in force.
    pub policies: &'a PolicySet,
    /// The id of the primary key, which new tokens are made with.
    pub key_id: KeyId,
    /// The issuer that decides.
    pub issuer: IssuerId,
    /// The current time; the issuer takes the latest time of the record if that is later.
    pub now: Timestamp,
    /// The recent periods in which this issuer could not reach its store.
    pub outages: Outages,
    /// The generation of the family that this issuer may have committed without answering the client.
    pub unanswered: Option<u64>,
}
