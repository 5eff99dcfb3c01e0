//! What an access token says.

use std::collections::BTreeMap;
use std::fmt;

use crate::client::Binding;
use crate::family::FamilyId;
use crate::grant::{Resource, Scope};
use crate::time::Timestamp;

/// What an access token says, once it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    pub(crate) family: FamilyId,
    pub(crate) generation: u64,
    pub(crate) names: Names,
    pub(crate) scope: Scope,
    pub(crate) audience: Audience,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) binding: Option<Binding>,
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
        match &self.audience {
            Audience::One(resource) => std::slice::from_ref(resource),
            Audience::Many(resources) => resources,
        }
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

/// Subject and client id in one allocation: these claims are made for every request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// The client id follows on the subject.
    pub(crate) text: Box<str>,
    pub(crate) subject_len: usize,
}

impl Names {
    pub(crate) fn new(subject: &str, client_id: &str) -> Self {
        Self { text: [subject, client_id].concat().into(), subject_len: subject.len() }
    }

    fn subject(&self) -> &str {
        self.text.get(..self.subject_len).unwrap_or_default()
    }

    fn client_id(&self) -> &str {
        self.text.get(self.subject_len..).unwrap_or_default()
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} by {:?}", self.subject(), self.client_id())
    }
}

/// Nearly always one resource, and then without an allocation of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    One(Resource),
    Many(Vec<Resource>),
}

impl From<&[Resource]> for Audience {
    fn from(resources: &[Resource]) -> Self {
        match resources {
            [resource] => Self::One(resource.clone()),
            resources => Self::Many(resources.to_vec()),
        }
    }
}
