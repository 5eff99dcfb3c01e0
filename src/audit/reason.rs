//! The fine-grained reasons of audit events, which no client receives.

use serde::{Deserialize, Serialize};

#[cfg(feature = "vault")]
use super::UpstreamReason;
use super::error_code::ErrorCode;
use crate::error::ErrorKind;

/// The fine-grained reason of an action. Clients receive only a coarse code, mostly `invalid_grant`; the reason goes to
/// the audit event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The text is not a token of this kind, or not of this deployment.
    Malformed,
    /// The token has the right form and guard, but a wrong MAC.
    Forged,
    /// The family does not exist, or its record was purged.
    UnknownFamily,
    /// The token was presented by another client than the one it was issued to.
    WrongClient,
    /// The request does not prove the key or fingerprint that the family is bound to.
    WrongBinding,
    /// The code verifier does not match the code challenge.
    WrongVerifier,
    /// The redirect URI is not the one of the authorization request.
    WrongRedirect,
    /// The family had been revoked before.
    Revoked(RevocationReason),
    /// The lifetime of the code has ended.
    CodeExpired,
    /// The token was not used for longer than the idle lifetime.
    IdleExpired,
    /// The absolute lifetime of the family has ended, or is so close to its end that no access token is issued.
    AbsoluteExpired,
    /// The access token has expired.
    AccessExpired,
    /// The access token was issued in the future, by this server's clock.
    IssuedInFuture,
    /// The access token belongs to a policy with a lost-response window, and the resource does not make a live check.
    LiveCheckRequired,
    /// The previous token was presented after its leeway.
    SpentToken,
    /// A token from before the previous one was presented after its leeway.
    SpentAncestor,
    /// Spent tokens were presented more often than the policy's retry limit allows.
    RetryLimit,
    /// The previous token was presented after its leeway, but nothing shows that the client received its successor.
    LostResponse,
    /// A spent token was presented whose own idle lifetime has ended.
    StaleToken,
    /// A genuine token is newer than the record in the store.
    AheadOfStore,
    /// The access token is from before the last rotation, and the policy does not accept it any more.
    Superseded,
    /// The lifetime of the access token exceeds the policy in force, which was shortened since.
    LifetimeBeyondPolicy,
    /// This claim of an authentic access token contradicts the record of its family.
    Forgery(Claim),
    /// The requested scope exceeds the grant.
    ScopeExceeded,
    /// The requested resource was not granted.
    ResourceNotGranted,
    /// The application's grant check withdrew the grant.
    GrantWithdrawn,
    /// The family has rotated 2⁶⁴ − 1 times, so its counter cannot rise.
    Exhausted,
    /// The request did not use TLS. A token or a secret in it may have been read on the way.
    Insecure,
    /// The request is malformed: a parameter is missing, malformed or repeated, or the body is of the wrong type or too
    /// long.
    BadRequest,
    /// The client does not exist.
    UnknownClient,
    /// The client failed to authenticate: its secret is wrong or missing, or it presented a secret although it has
    /// none.
    WrongSecret,
    /// The client may not use this endpoint.
    NotAllowed,
    /// The grant type is not supported.
    UnsupportedGrantType,
    /// The response type is not supported.
    UnsupportedResponseType,
    /// The resource does not have the requested scope.
    UnsupportedScope,
    /// The server issues no tokens for the requested resource.
    UnknownResource,
    /// The user did not consent.
    ConsentDenied,
    /// The metadata of a client that registers is not valid.
    ClientMetadata,
    /// The application refused to register the client.
    RegistrationRefused,
    /// The request has several `Authorization` headers, or a token in its query besides the one in the header.
    MisplacedToken,
    /// A genuine access token is for another resource.
    WrongAudience,
    /// The access token lacks a required scope.
    MissingScope,
    /// The MCP session was opened by another subject or client, or by a process that has ended.
    WrongSession,
    /// The server had a fault of this kind.
    Fault(ErrorKind),
    /// The vault gave a reason that concerns a credential for another service.
    #[cfg(feature = "vault")]
    Upstream(UpstreamReason),
}

impl Reason {
    /// Returns a stable name for logs and metrics.
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

    /// Returns the coarse code that a client receives (RFC 6749 §5.2, RFC 8707 §2).
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
    /// A spent token was presented, so two parties hold copies of the refresh token.
    Reuse,
    /// The client revoked a token (RFC 7009).
    Token,
    /// The user or an administrator ended this one session.
    Session,
    /// Every family of the subject was revoked.
    Subject,
    /// Every family of the client was revoked.
    Client,
}

/// The claim of an access token that contradicts the record of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Claim {
    /// The subject is another one.
    Subject,
    /// The client is another one.
    Client,
    /// A scope was not granted.
    Scope,
    /// A resource was not granted.
    Audience,
    /// The binding is not the family's, or is missing.
    Binding,
    /// The application's own claims differ.
    Application,
    /// The generation is one that never has an access token.
    Generation,
    /// The times exceed every policy, or are outside the lifetime of the family.
    Lifetime,
}
