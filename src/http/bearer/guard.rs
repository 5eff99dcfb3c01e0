//! What a protected resource requires of a token, and the answers to requests that do not meet it.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::json;
use zeroize::Zeroizing;

use super::authorization::Credentials;
use super::family_reads::{FamilyReads, Seen};
use super::session_ids::SessionIds;
use super::sleep::Sleep;
use crate::audit::{Action, AuditEvent, AuditSink, ErrorCode, HttpEndpoint, Reason};
use crate::error::Error;
use crate::family::TokenFamily;
use crate::grant::{AccessClaims, Binding, Scope};
use crate::http::resource::ProtectedResource;
use crate::http::server::{OnFault, ReadBinding};
use crate::http::wire::cors::{Cors, CrossOrigin};
use crate::http::wire::reply::{Refusal, Reply, empty, json, set, unavailable};
use crate::http::wire::tls::TlsPolicy;
use crate::id::FamilyId;
use crate::issuer::TokenIssuer;
use crate::messages::TokenType;
use crate::store::{BoxFuture, TokenStore};
use crate::time::{Clock, Timestamp};
use crate::verifier::{AccessVerifier, Expectation, LiveCheckError, VerifyError};

type Verdict = Result<AccessClaims, VerifyError>;

/// Verifies tokens without the store.
pub(super) trait Verify: Send + Sync {
    /// Verifies a token.
    fn verify(&self, token: &str, expect: &Expectation<'_>, now: Timestamp) -> Verdict;

    /// Returns the claims of a genuine token, even if it has expired or is for another resource.
    fn open(&self, token: &str) -> Option<AccessClaims>;
}

/// Verifies tokens with the store.
pub(super) trait LiveCheck: Send + Sync {
    /// Verifies a token with one read of the store.
    fn verify_live<'a>(
        &'a self,
        token: &'a str,
        expect: Expectation<'a>,
    ) -> BoxFuture<'a, Result<AccessClaims, LiveCheckError>>;

    /// Reads a family from the store.
    fn read(self: Arc<Self>, family: FamilyId) -> BoxFuture<'static, Result<Option<TokenFamily>, Error>>;

    /// Whether the token with `claims`, which was live before, is still live according to `family`.
    fn is_still_live(&self, family: Option<&TokenFamily>, claims: &AccessClaims) -> Result<bool, Error>;
}

impl Verify for AccessVerifier {
    fn verify(&self, token: &str, expect: &Expectation<'_>, now: Timestamp) -> Verdict {
        AccessVerifier::verify(self, token, expect, now)
    }

    fn open(&self, token: &str) -> Option<AccessClaims> {
        AccessVerifier::open(self, token)
    }
}

impl<S: TokenStore> Verify for TokenIssuer<S> {
    fn verify(&self, token: &str, expect: &Expectation<'_>, now: Timestamp) -> Verdict {
        self.verifier().verify(token, expect, now)
    }

    fn open(&self, token: &str) -> Option<AccessClaims> {
        self.verifier().open(token)
    }
}

impl<S: TokenStore + 'static> LiveCheck for TokenIssuer<S> {
    fn verify_live<'a>(
        &'a self,
        token: &'a str,
        expect: Expectation<'a>,
    ) -> BoxFuture<'a, Result<AccessClaims, LiveCheckError>> {
        Box::pin(async move { TokenIssuer::verify_live(self, token, &expect).await })
    }

    fn read(self: Arc<Self>, family: FamilyId) -> BoxFuture<'static, Result<Option<TokenFamily>, Error>> {
        Box::pin(async move { Ok(self.load(family).await?.map(|found| found.family)) })
    }

    fn is_still_live(&self, family: Option<&TokenFamily>, claims: &AccessClaims) -> Result<bool, Error> {
        TokenIssuer::is_still_live(self, family, claims)
    }
}

/// The live check, and the interval at which it is repeated for open responses.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) check: Arc<dyn LiveCheck>,
    pub(super) reads: Arc<FamilyReads>,
    pub(super) interval: Duration,
}

/// The configuration of the check.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) verifier: Arc<dyn Verify>,
    pub(super) live: Option<Live>,
    pub(super) resource: ProtectedResource,
    pub(super) required: Scope,
    pub(super) tls: TlsPolicy,
    pub(super) cors: Cors,
    /// The response headers that a page of another origin may read.
    pub(super) exposed: HeaderValue,
    pub(super) binding: Option<Arc<ReadBinding>>,
    pub(super) on_fault: Option<Arc<OnFault>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) audit: Arc<dyn AuditSink>,
    pub(super) sleep: Arc<Sleep>,
    pub(super) upgrades: bool,
    pub(super) session_ids: Arc<SessionIds>,
}

/// The result of the check before it waits for the store.
pub(super) enum Admission {
    /// The request passes.
    Pass(AccessClaims),
    /// The request is refused.
    Refuse(Reply),
    /// The store has to be read.
    CheckStore(BoxFuture<'static, Result<AccessClaims, Box<Reply>>>),
}

impl Guard {
    /// Returns the CORS headers for the answer. `None` if the request has no origin and the answer does not depend on
    /// it.
    pub(super) fn cross_origin(&self, headers: &HeaderMap) -> Option<CrossOrigin> {
        (headers.contains_key(ORIGIN) || self.cors.is_by_origin()).then(|| self.cors.judge(headers))
    }

    /// Checks a request.
    pub(super) fn admit_request(self: &Arc<Self>, parts: &Parts) -> Admission {
        if let Some(reply) = self.cors.preflight_of_service(parts) {
            return Admission::Refuse(reply);
        }
        if !self.tls.permits(parts) {
            self.report(Reason::Insecure, None);
            return Admission::Refuse(Refusal::INSECURE.into_reply());
        }
        if parts.method == Method::CONNECT && !self.upgrades {
            return Admission::Refuse(no_upgrade());
        }
        let binding = self.binding.as_ref().and_then(|read| read(parts));
        let dpop = matches!(binding, Some(Binding::DpopKey(_)));
        let (scheme, token) = match Credentials::read(&parts.headers, parts.uri.query(), dpop) {
            Credentials::Token(scheme, token) => (scheme, token),
            // Each client begins like this, so it is not reported.
            Credentials::None => {
                return Admission::Refuse(self.challenge(StatusCode::UNAUTHORIZED, None, &self.required));
            }
            Credentials::Malformed => return Admission::Refuse(self.refuse(VerifyError::Invalid, None)),
            Credentials::Misplaced => {
                self.report(Reason::MisplacedToken, None);
                let error = ErrorCode::InvalidRequest.as_str();
                return Admission::Refuse(self.challenge(StatusCode::BAD_REQUEST, Some(error), &self.required));
            }
        };
        // A token that is bound to a DPoP key must not be accepted as a bearer token, with any proof (RFC 9449 §7.2).
        let binding = binding.filter(|_| dpop == (scheme == TokenType::Dpop));
        match &self.live {
            None => {
                let verdict = self.verifier.verify(token, &self.expectation(binding.as_ref()), self.clock.now());
                self.admit(token, verdict).map_or_else(|reply| Admission::Refuse(*reply), Admission::Pass)
            }
            Some(Live { check, .. }) => {
                let (guard, check, token) = (Arc::clone(self), Arc::clone(check), Zeroizing::new(token.to_owned()));
                Admission::CheckStore(Box::pin(async move {
                    match check.verify_live(&token, guard.expectation(binding.as_ref())).await {
                        Ok(claims) => guard.admit(&token, Ok(claims)),
                        Err(LiveCheckError::Refused(refusal)) => guard.admit(&token, Err(refusal)),
                        Err(LiveCheckError::Fault(fault)) => {
                            guard.report_fault(&fault, guard.verifier.open(&token).as_ref());
                            Err(Box::new(unavailable()))
                        }
                    }
                }))
            }
        }
    }

    fn expectation<'a>(&'a self, binding: Option<&'a Binding>) -> Expectation<'a> {
        Expectation::resource(self.resource.resource()).binding(binding)
    }

    /// Returns the claims of a good token with the required scope, or the refusal.
    fn admit(&self, token: &str, verdict: Verdict) -> Result<AccessClaims, Box<Reply>> {
        match verdict {
            Ok(claims) if self.resource.allows(claims.scope(), &self.required) => Ok(claims),
            Ok(claims) => Err(Box::new(self.insufficient(&claims, &self.required))),
            // A token that this server did not issue has no claims.
            Err(VerifyError::Invalid) => Err(Box::new(self.refuse(VerifyError::Invalid, None))),
            Err(error) => Err(Box::new(self.refuse(error, self.verifier.open(token).as_ref()))),
        }
    }

    /// Refuses a token with these claims; `None` for a token that this server did not issue.
    pub(super) fn refuse(&self, error: VerifyError, claims: Option<&AccessClaims>) -> Reply {
        let reason = match error {
            VerifyError::Invalid => Some(Reason::Malformed),
            VerifyError::Expired => Some(Reason::AccessExpired),
            VerifyError::Audience => Some(Reason::WrongAudience),
            VerifyError::Binding => Some(Reason::WrongBinding),
            VerifyError::Scope => Some(Reason::MissingScope),
            VerifyError::LiveCheckRequired => Some(Reason::LiveCheckRequired),
            // The issuer has reported it, with more details.
            VerifyError::Revoked => None,
        };
        reason.into_iter().for_each(|reason| self.report(reason, claims));
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNAUTHORIZED);
        self.challenge(status, Some(error.as_str()), &self.required)
    }

    /// Refuses with 403 and all scopes that the operation requires (RFC 6750 §3.1).
    pub(super) fn insufficient(&self, claims: &AccessClaims, needed: &Scope) -> Reply {
        self.report(Reason::MissingScope, Some(claims));
        self.challenge(StatusCode::FORBIDDEN, Some(VerifyError::Scope.as_str()), needed)
    }

    /// Reports a refusal to the audit.
    pub(super) fn report(&self, reason: Reason, claims: Option<&AccessClaims>) {
        self.record(Action::Deny, reason, claims);
    }

    fn record(&self, action: Action, reason: Reason, claims: Option<&AccessClaims>) {
        let event = AuditEvent::new(self.clock.now(), action).because(reason).at_endpoint(HttpEndpoint::Resource);
        self.audit.record(&match claims {
            Some(claims) => AuditEvent {
                family: Some(claims.family()),
                generation: Some(claims.generation()),
                client_id: Some(claims.client_id().into()),
                subject: Some(claims.subject().into()),
                ..event
            },
            None => event,
        });
    }

    /// Reports a fault to the audit and to the application.
    pub(super) fn report_fault(&self, fault: &Error, claims: Option<&AccessClaims>) {
        self.record(Action::Fault, Reason::Fault(fault.kind()), claims);
        if let Some(report) = &self.on_fault {
            report(fault);
        }
    }

    /// Reports a fault that made a read of the store fail.
    pub(super) fn seen_fault(&self, fault: &Error, claims: Option<&AccessClaims>) -> Seen {
        self.report_fault(fault, claims);
        Seen::Fault
    }

    /// A refusal with a `WWW-Authenticate` header.
    fn challenge(&self, status: StatusCode, error: Option<&str>, scope: &Scope) -> Reply {
        let mut reply = match error {
            Some(error) => json(status, &json!({ "error": error })),
            // RFC 6750 §3: without credentials there is no error code.
            None => empty(status),
        };
        set(&mut reply, WWW_AUTHENTICATE, self.resource.challenge(error, scope));
        reply
    }
}

/// The refusal of an MCP session that does not exist or belongs to another user or client. The answer is the same in
/// both cases (MCP specification, "Session Management").
pub(super) fn no_session() -> Reply {
    Refusal::Status(StatusCode::NOT_FOUND, "Mcp-Session-Id must name a session of this user and client").into_reply()
}

/// The refusal of an upgrade, because the connection could outlive the token.
pub(super) fn no_upgrade() -> Reply {
    Refusal::Status(StatusCode::NOT_IMPLEMENTED, "this server does not upgrade connections").into_reply()
}
