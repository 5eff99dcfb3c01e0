//! Why something happened: the fine-grained reasons, which no client sees.

use serde::{Deserialize, Serialize};

#[cfg(feature = "vault")]
use super::UpstreamReason;
use super::error_code::ErrorCode;
use crate::error::ErrorKind;

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
    #[cfg(feature = "vault")]
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
            #[cfg(feature = "vault")]
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

/// Why a family was revoked.
// Records name the variants by position: only ever append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RevocationReason {
    /// A spent token was presented: someone holds a copy.
    Reuse,
    /// The client revoked a token (RFC 7009).
    Token,
    /// This one session was ended, by the user or an administrator.
    Session,
    /// Every family of the subject was revoked.
    Subject,
    /// Every family of the client was revoked.
    Client,
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
