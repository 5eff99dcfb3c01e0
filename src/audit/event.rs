//! Audit events: what happened, to which family and client, when and why. An event never contains a token.

use std::sync::Arc;

use super::action::Action;
use super::reason::Reason;
use crate::id::FamilyId;
use crate::time::Timestamp;

/// The endpoint that refused a request or could not answer it.
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
    /// The page on which a user begins to connect an account.
    Connect,
    /// The redirect URI that a service sends the user back to.
    Callback,
}

impl HttpEndpoint {
    /// Returns a stable name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Token => "token",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::Register => "register",
            Self::Resource => "resource",
            Self::Connect => "connect",
            Self::Callback => "callback",
        }
    }
}

/// One action on a family, on a credential or on the store as a whole.
///
/// # Security
///
/// An event contains no token and nothing that a token could be derived from. It contains the subject and the name of
/// an account for investigations. Both are personal data, and the `tracing` feature leaves them out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEvent {
    /// When the action was decided.
    pub at: Timestamp,
    /// The action.
    pub action: Action,
    /// The reason, where the action alone does not tell it.
    pub reason: Option<Reason>,
    /// The endpoint of the feature `http` that refused the request by itself, or could not answer it.
    pub endpoint: Option<HttpEndpoint>,
    /// The family, or the family that the credential is bound to.
    pub family: Option<FamilyId>,
    /// The generation of the family or the credential after the action; for a refused access token, the generation of
    /// the token.
    pub generation: Option<u64>,
    /// The client that the family was granted to, or the client that made the request if no family was found.
    pub client_id: Option<Arc<str>>,
    /// The subject of the family or of the credential.
    pub subject: Option<Arc<str>>,
    /// The service that the credential is for.
    pub service: Option<Arc<str>>,
    /// The name of the account at the service, if the credential has one. It may be personal data.
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
