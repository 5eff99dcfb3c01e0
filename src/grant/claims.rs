//! What an access token says.

use std::collections::BTreeMap;
use std::fmt;

use super::client::Binding;
use super::resource::{Audience, Resource};
use super::scope::Scope;
use crate::id::FamilyId;
use crate::time::Timestamp;

/// What an access token says, once it has been verified.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessClaims {
    pub(crate) family: FamilyId,
    pub(crate) generation: u64,
    pub(crate) names: SubjectAndClient,
    pub(crate) scope: Scope,
    pub(crate) audience: Audience,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) binding: Option<Binding>,
    /// Whether an offline check must refuse it.
    pub(crate) live_only: bool,
    pub(crate) claims: BTreeMap<String, String>,
}

impl AccessClaims {
    /// The family it belongs to.
    pub fn family(&self) -> FamilyId {
        self.family
    }

    /// The generation it was issued with.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The user (`sub`).
    pub fn subject(&self) -> &str {
        self.names.subject()
    }

    /// The client that acts for the user.
    pub fn client_id(&self) -> &str {
        self.names.client_id()
    }

    /// What it allows.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where it may be used (`aud`).
    pub fn audience(&self) -> &[Resource] {
        self.audience.as_slice()
    }

    /// When it was issued (`iat`).
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// When it expires (`exp`).
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// What its holder must prove (`cnf`).
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// The application's own claims, from [`Grant::with_claim`](crate::Grant::with_claim).
    pub fn claims(&self) -> &BTreeMap<String, String> {
        &self.claims
    }
}

impl fmt::Debug for AccessClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, generation, names: _, scope, audience, issued_at, expires_at, binding, live_only, claims } =
            self;
        f.debug_struct("AccessClaims")
            .field("family", family)
            .field("generation", generation)
            .field("subject", &self.subject())
            .field("client_id", &self.client_id())
            .field("scope", scope)
            .field("audience", audience)
            .field("issued_at", issued_at)
            .field("expires_at", expires_at)
            .field("binding", binding)
            .field("live_only", live_only)
            .field("claims", claims)
            .finish()
    }
}

/// Subject and client id in one allocation: these claims are made for every request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SubjectAndClient {
    /// The client id follows on the subject.
    both: Box<str>,
    subject_len: usize,
}

impl SubjectAndClient {
    pub(crate) fn new(subject: &str, client_id: &str) -> Self {
        Self { both: [subject, client_id].concat().into(), subject_len: subject.len() }
    }

    /// The subject is the first `subject_len` bytes. `None` if they end within a character, or there are fewer.
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
