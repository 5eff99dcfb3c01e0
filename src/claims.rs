//! What an access token says.

use std::collections::BTreeMap;

use crate::client::Binding;
use crate::family::FamilyId;
use crate::grant::{Resource, Scope};
use crate::shared_str::SharedStr;
use crate::time::Timestamp;

/// What an access token says, once it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    pub(crate) family: FamilyId,
    pub(crate) generation: u64,
    pub(crate) subject: SharedStr,
    pub(crate) client_id: SharedStr,
    pub(crate) scope: Scope,
    pub(crate) audience: Vec<Resource>,
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
        &self.subject
    }

    /// The client that acts for the user.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What it allows.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where it may be used (`aud`).
    pub fn audience(&self) -> &[Resource] {
        &self.audience
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
