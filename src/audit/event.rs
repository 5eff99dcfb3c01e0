//! What happened, for whoever watches over it: family, client, reason and time, never a token.

use std::sync::Arc;

use super::action::Action;
use super::reason::Reason;
use crate::id::FamilyId;
use crate::time::Timestamp;

/// Where a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpEndpoint {
    /// The authorization endpoint.
    Authorize,
    /// The token endpoint.
    Token,
    /// The revocation endpoint.
    Revoke,
    /// The introspection endpoint.
    Introspect,
    /// The registration endpoint.
    Register,
    /// A protected resource.
    Resource,
}

impl HttpEndpoint {
    /// A stable name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Token => "token",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::Register => "register",
            Self::Resource => "resource",
        }
    }
}

/// One act, on one family, on one credential, or on the store as a whole.
///
/// It carries no token and nothing that a token could be made from. The subject and the name of an account are in it for those who
/// investigate; they are personal data, and the `tracing` feature leaves them out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// Why, where the action alone does not say.
    pub reason: Option<Reason>,
    /// Where, if an endpoint of the feature `http` refused the request by itself, or could not answer it.
    pub endpoint: Option<HttpEndpoint>,
    /// On which family; of a credential: the session that it is bound to.
    pub family: Option<FamilyId>,
    /// The generation that the family, or the credential, has after it; of a refused access token, its own.
    pub generation: Option<u64>,
    /// The client that the family was granted to, or that made the request if no family was found.
    pub client_id: Option<Arc<str>>,
    /// The subject of the family, or of the credential.
    pub subject: Option<Arc<str>>,
    /// The service that the credential is for.
    pub service: Option<Arc<str>>,
    /// The name of the account there, if the credential has one. Like the subject it may be personal data.
    pub account: Option<Arc<str>>,
}

impl AuditEvent {
    pub(crate) fn new(at: Timestamp, action: Action) -> Self {
        Self {
            at,
            action,
            reason: None,
            endpoint: None,
            family: None,
            generation: None,
            client_id: None,
            subject: None,
            service: None,
            account: None,
        }
    }

    pub(crate) fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    #[cfg(feature = "http")]
    pub(crate) fn at_endpoint(self, endpoint: HttpEndpoint) -> Self {
        Self { endpoint: Some(endpoint), ..self }
    }
}
