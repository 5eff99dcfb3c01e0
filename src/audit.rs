//! What happened, for whoever watches over it: family, client, reason and time, never a token.

use std::sync::Arc;

use crate::error::ErrorKind;
use crate::family::{FamilyId, RevocationReason, TokenFamily};
use crate::policy::OnReuse;
use crate::response::ErrorCode;
use crate::time::Timestamp;
#[cfg(feature = "upstream")]
use crate::upstream::{UpstreamAct, UpstreamReason};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// An authorization code was issued.
    Authorize,
    /// Tokens were issued without a code.
    Issue,
    /// An authorization code was redeemed.
    Redeem,
    /// A refresh token was rotated.
    Rotate,
    /// A refresh token was used and kept: the policy does not rotate it, or it was rotated three times within the leeway.
    Keep,
    /// A spent token was answered with the current one: a lost response, or parallel requests.
    Retry,
    /// A token ahead of the store was believed, and rotated.
    FastForward,
    /// A request was refused; nothing has changed.
    Deny,
    /// An access token was refused that is sealed with a genuine key and contradicts the record of its family. Only a holder of
    /// that key who is no issuer can have made it: find out which server the key leaked from, and rotate it.
    Forgery,
    /// A spent token was presented, and this is what followed.
    Reuse(OnReuse),
    /// A family was revoked.
    Revoke(RevocationReason),
    /// Expired records were deleted.
    #[non_exhaustive]
    Purge {
        /// How many.
        count: usize,
    },
    /// Records were moved to the primary key.
    #[non_exhaustive]
    Rekey {
        /// How many.
        count: usize,
    },
    /// A maintenance run failed and will be tried again. With a family, a subject or a client: what is bound to it at other
    /// services could not be revoked and is not tried again.
    Fail,
    /// A request could not be answered because of a fault of the server, and the client got a 503 or `server_error`; or an open stream
    /// could not be checked.
    Fault,
    /// The vault did something with a credential at another service.
    #[cfg(feature = "upstream")]
    Upstream(UpstreamAct),
}

impl Action {
    /// A stable name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Issue => "issue",
            Self::Redeem => "redeem",
            Self::Rotate => "rotate",
            Self::Keep => "keep",
            Self::Retry => "retry",
            Self::FastForward => "fast_forward",
            Self::Deny => "deny",
            Self::Forgery => "forgery",
            Self::Reuse(OnReuse::RevokeFamily) => "reuse_revoke_family",
            Self::Reuse(OnReuse::RejectOnly) => "reuse_reject_only",
            Self::Reuse(OnReuse::RevokeSubject) => "reuse_revoke_subject",
            Self::Revoke(RevocationReason::Reuse) => "revoke_reuse",
            Self::Revoke(RevocationReason::Token) => "revoke_token",
            Self::Revoke(RevocationReason::Session) => "revoke_session",
            Self::Revoke(RevocationReason::Subject) => "revoke_subject",
            Self::Revoke(RevocationReason::Client) => "revoke_client",
            Self::Purge { .. } => "purge",
            Self::Rekey { .. } => "rekey",
            Self::Fail => "fail",
            Self::Fault => "fault",
            #[cfg(feature = "upstream")]
            Self::Upstream(act) => act.as_str(),
        }
    }
}

/// The claim of an access token that the record of its family contradicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Claim {
    /// Another subject.
    Subject,
    /// Another client.
    Client,
    /// A scope that was not granted.
    Scope,
    /// A resource that was not granted.
    Audience,
    /// Another binding than the family's, or none.
    Binding,
    /// Other claims of the application's own.
    Application,
    /// A generation that has no access token.
    Generation,
    /// Times that no policy allows, or that are outside the life of the family.
    Lifetime,
}

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

/// The fine-grained reason of an act. It goes into the audit event and nowhere else: on the wire most of these are the one
/// `invalid_grant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Not a token of this kind, or not of this deployment.
    Malformed,
    /// The right form and guard, and a wrong MAC.
    Forged,
    /// No such family, or one that was purged.
    UnknownFamily,
    /// Presented by another client than it was issued to.
    WrongClient,
    /// Presented without the key or fingerprint that the family is bound to.
    WrongBinding,
    /// The code verifier does not match the challenge.
    WrongVerifier,
    /// The redirect URI is not the one of the authorization request.
    WrongRedirect,
    /// The family was revoked before.
    Revoked(RevocationReason),
    /// The code's lifetime is over.
    CodeExpired,
    /// The token was not used for too long.
    IdleExpired,
    /// The family's absolute lifetime is over, or so nearly over that no access token would be of use.
    AbsoluteExpired,
    /// The access token has expired.
    AccessExpired,
    /// An access token whose time of issue is in the future, by this server's clock.
    IssuedInFuture,
    /// An access token of a policy with a lost-response window, at a resource that does not make the live check.
    LiveCheckRequired,
    /// The previous token, after the leeway.
    SpentToken,
    /// A token from before the previous one, after its leeway.
    SpentAncestor,
    /// A spent token, more often than the policy's retry limit.
    RetryLimit,
    /// The previous token, after the leeway, while its successor was never seen.
    LostResponse,
    /// A spent token whose own idle lifetime is over.
    StaleToken,
    /// A genuine token that the store does not know of yet: the store is older than the token.
    AheadOfStore,
    /// An access token from before the last rotation, which the policy does not accept.
    Superseded,
    /// An access token that lives longer than the policy in force allows: the policy has been shortened since.
    LifetimeBeyondPolicy,
    /// This claim of an authentic access token contradicts the record of its family.
    Forgery(Claim),
    /// More scope than was granted.
    ScopeExceeded,
    /// A resource that was not granted.
    ResourceNotGranted,
    /// The application's check withdrew the grant.
    GrantWithdrawn,
    /// 2⁶⁴ rotations.
    Exhausted,
    /// The request did not come over TLS. A token or a secret that was in it may have been read on the way.
    Insecure,
    /// The request is not understood: a parameter is missing, malformed or there twice, the content is of another type or too long.
    BadRequest,
    /// There is no such client.
    UnknownClient,
    /// The client did not prove who it is: its secret is wrong or missing, or it has none and presented one.
    WrongSecret,
    /// The client may not use this endpoint.
    NotAllowed,
    /// A grant type that there is not.
    UnsupportedGrantType,
    /// A response type that there is not.
    UnsupportedResponseType,
    /// Scope that the resource does not have.
    UnsupportedScope,
    /// A resource that this server issues no tokens for.
    UnknownResource,
    /// The user did not agree.
    ConsentDenied,
    /// What a client that registers says of itself is not good.
    ClientMetadata,
    /// The application does not register such a client.
    RegistrationRefused,
    /// More than one `Authorization` header, or a token in a query besides the one in the header.
    MisplacedToken,
    /// A genuine access token for another resource.
    WrongAudience,
    /// The access token does not have a scope that is needed.
    MissingScope,
    /// The id of an MCP session that another subject or client has opened, or a process that has ended.
    WrongSession,
    /// A fault of the server of this kind.
    Fault(ErrorKind),
    /// Something about a credential at another service.
    #[cfg(feature = "upstream")]
    Upstream(UpstreamReason),
}

impl Reason {
    /// A stable name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::UnknownFamily => "unknown_family",
            Self::WrongClient => "wrong_client",
            Self::WrongBinding => "wrong_binding",
            Self::WrongVerifier => "wrong_verifier",
            Self::WrongRedirect => "wrong_redirect",
            Self::Revoked(RevocationReason::Reuse) => "revoked_reuse",
            Self::Revoked(RevocationReason::Token) => "revoked_token",
            Self::Revoked(RevocationReason::Session) => "revoked_session",
            Self::Revoked(RevocationReason::Subject) => "revoked_subject",
            Self::Revoked(RevocationReason::Client) => "revoked_client",
            Self::CodeExpired => "code_expired",
            Self::IdleExpired => "idle_expired",
            Self::AbsoluteExpired => "absolute_expired",
            Self::AccessExpired => "access_expired",
            Self::IssuedInFuture => "issued_in_future",
            Self::LiveCheckRequired => "live_check_required",
            Self::SpentToken => "spent_token",
            Self::SpentAncestor => "spent_ancestor",
            Self::RetryLimit => "retry_limit",
            Self::LostResponse => "lost_response",
            Self::StaleToken => "stale_token",
            Self::AheadOfStore => "ahead_of_store",
            Self::Superseded => "superseded",
            Self::LifetimeBeyondPolicy => "lifetime_beyond_policy",
            Self::Forgery(Claim::Subject) => "forged_subject",
            Self::Forgery(Claim::Client) => "forged_client",
            Self::Forgery(Claim::Scope) => "forged_scope",
            Self::Forgery(Claim::Audience) => "forged_audience",
            Self::Forgery(Claim::Binding) => "forged_binding",
            Self::Forgery(Claim::Application) => "forged_application_claims",
            Self::Forgery(Claim::Generation) => "forged_generation",
            Self::Forgery(Claim::Lifetime) => "forged_lifetime",
            Self::ScopeExceeded => "scope_exceeded",
            Self::ResourceNotGranted => "resource_not_granted",
            Self::GrantWithdrawn => "grant_withdrawn",
            Self::Exhausted => "exhausted",
            Self::Insecure => "insecure",
            Self::BadRequest => "bad_request",
            Self::UnknownClient => "unknown_client",
            Self::WrongSecret => "wrong_client_secret",
            Self::NotAllowed => "not_allowed",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::UnsupportedScope => "unsupported_scope",
            Self::UnknownResource => "unknown_resource",
            Self::ConsentDenied => "consent_denied",
            Self::ClientMetadata => "client_metadata",
            Self::RegistrationRefused => "registration_refused",
            Self::MisplacedToken => "misplaced_token",
            Self::WrongAudience => "wrong_audience",
            Self::MissingScope => "missing_scope",
            Self::WrongSession => "wrong_session",
            Self::Fault(kind) => kind.as_str(),
            #[cfg(feature = "upstream")]
            Self::Upstream(reason) => reason.as_str(),
        }
    }

    /// The coarse code that a client gets to see (RFC 6749 §5.2, RFC 8707 §2).
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::ScopeExceeded => ErrorCode::InvalidScope,
            Self::ResourceNotGranted => ErrorCode::InvalidTarget,
            _ => ErrorCode::InvalidGrant,
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

    pub(crate) fn on_family(at: Timestamp, action: Action, family: &TokenFamily) -> Self {
        Self {
            family: Some(family.id),
            generation: Some(family.generation),
            client_id: Some(Arc::clone(&family.grant.client_id)),
            subject: Some(Arc::clone(&family.grant.subject)),
            ..Self::new(at, action)
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

/// Where audit events go.
///
/// An event is handed over right after its act was committed, so of two requests that race the later act may be told first. If
/// the request is cancelled in between, the act is not told; what it did to the family shows in the reason of the next event.
/// The call must not block for long: hand the event to a queue.
pub trait AuditSink: Send + Sync {
    /// Take note of `event`.
    fn record(&self, event: &AuditEvent);
}

impl<F: Fn(&AuditEvent) + Send + Sync> AuditSink for F {
    fn record(&self, event: &AuditEvent) {
        self(event);
    }
}

/// A sink that forgets: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _: &AuditEvent) {}
}

/// Writes every event as a structured `tracing` event with the target `mcp_token_lifecycle::audit`: reuse, forgery and faults at
/// level `WARN`, everything else at `INFO`.
#[cfg(feature = "tracing")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingAudit;

#[cfg(feature = "tracing")]
impl AuditSink for TracingAudit {
    fn record(&self, event: &AuditEvent) {
        macro_rules! emit {
            ($level:expr) => {
                tracing::event!(
                    target: "mcp_token_lifecycle::audit",
                    $level,
                    at = %event.at,
                    action = event.action.as_str(),
                    reason = event.reason.as_ref().map(Reason::as_str),
                    endpoint = event.endpoint.as_ref().map(HttpEndpoint::as_str),
                    family = event.family.map(tracing::field::display),
                    generation = event.generation,
                    client_id = event.client_id.as_deref(),
                    service = event.service.as_deref(),
                )
            };
        }
        match event.action {
            Action::Reuse(_) | Action::Forgery | Action::Fault => emit!(tracing::Level::WARN),
            _ => emit!(tracing::Level::INFO),
        }
    }
}
