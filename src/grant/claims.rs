//! The claims of an access token.

use std::collections::BTreeMap;
use std::fmt;

use super::client::Binding;
use super::resource::{Audience, Resource};
use super::scope::Scope;
use crate::id::FamilyId;
use crate::time::Timestamp;

/// The claims of an access token that has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    pub(crate) family: FamilyId,
    pub(crate) generation: u64,
    pub(crate) names: SubjectAndClient,
    pub(crate) scope: Scope,
    pub(crate) audience: Audience,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) binding: Option<Binding>,
    /// Whether an offline check must refuse the token.
    pub(crate) live_only: bool,
    pub(crate) claims: BTreeMap<String, String>,
}

impl AccessClaims {
    /// Returns the family that the token belongs to.
    pub fn family(&self) -> FamilyId {
        self.family
    }

    /// Returns the generation of the family at which the token was issued.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the user (`sub`).
    pub fn subject(&self) -> &str {
        self.names.subject()
    }

    /// Returns the client that acts for the user.
    pub fn client_id(&self) -> &str {
        self.names.client_id()
    }

    /// Returns the scope that the token allows.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the resources where the token may be used (`aud`).
    pub fn audience(&self) -> &[Resource] {
        self.audience.as_slice()
    }

    /// Returns when the token was issued (`iat`).
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// Returns when the token expires (`exp`).
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Returns the binding that a holder of the token must prove, if there is one (`cnf`).
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// Returns the application's own claims, from [`Grant::with_claim`](crate::Grant::with_claim).
    pub fn claims(&self) -> &BTreeMap<String, String> {
        &self.claims
    }
}

/// Subject and client id in one allocation, for the row "allocations in `verify` for its claims" of the benchmarks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SubjectAndClient {
    /// The subject, followed by the client id.
    both: Box<str>,
    subject_len: usize,
}

impl SubjectAndClient {
    pub(crate) fn new(subject: &str, client_id: &str) -> Self {
        Self { both: [subject, client_id].concat().into(), subject_len: subject.len() }
    }

    /// Takes the first `subject_len` bytes as the subject. Returns `None` if they end within a character, or if there
    /// are fewer.
    pub(crate) fn split(both: &str, subject_len: usize) -> Option<Self> {
        both.is_char_boundary(subject_len).then(|| Self { both: both.into(), subject_len })
    }

    pub(crate) fn subject(&self) -> &str {
        self.both.get(..self.subject_len).unwrap_or_default()
    }

    pub(crate) fn client_id(&self) -> &str {
        self.both.get(self.subject_len..).unwrap_or_default()
    }
}

impl fmt::Debug for SubjectAndClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectAndClient")
            .field("subject", &self.subject())
            .field("client_id", &self.client_id())
            .finish()
    }
}
