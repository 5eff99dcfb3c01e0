//! What a protected resource asks of a token, and what it answers to whoever has none that will do.

use std::sync::Arc;

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use serde_json::json;
use zeroize::Zeroizing;

use super::authorization::Credentials;
use crate::claims::AccessClaims;
use crate::client::Binding;
use crate::error::Error;
use crate::grant::Scope;
use crate::http::https::Https;
use crate::http::reply::{Refusal, Reply, empty, json, set, unavailable};
use crate::http::resource::ProtectedResource;
use crate::http::server::{OnFault, ReadBinding};
use crate::issuer::TokenIssuer;
use crate::response::{ErrorCode, TokenType};
use crate::store::{BoxFuture, TokenStore};
use crate::verifier::{AccessVerifier, Expectation, VerifyError};
use crate::{Clock, SystemClock};

type Verdict = Result<AccessClaims, VerifyError>;

/// Whether a token is good, at the time of a clock of its own.
pub(super) trait Offline: Send + Sync {
    fn verify(&self, token: &str, expect: &Expectation<'_>) -> Verdict;
}

/// Whether it still is, by the store.
pub(super) trait Live: Send + Sync {
    /// Put a fault of the store into the audit log.
    fn report(&self, fault: &Error);

    fn verify_live<'a>(&'a self, token: &'a str, expect: Expectation<'a>) -> BoxFuture<'a, Result<Verdict, Error>>;
}

impl Offline for AccessVerifier {
    fn verify(&self, token: &str, expect: &Expectation<'_>) -> Verdict {
        AccessVerifier::verify(self, token, expect, SystemClock.now())
    }
}

impl<S: TokenStore> Offline for TokenIssuer<S> {
    fn verify(&self, token: &str, expect: &Expectation<'_>) -> Verdict {
        TokenIssuer::verify(self, token, expect)
    }
}

impl<S: TokenStore> Live for TokenIssuer<S> {
    fn report(&self, fault: &Error) {
        self.report_fault(fault, None, None);
    }

    fn verify_live<'a>(&'a self, token: &'a str, expect: Expectation<'a>) -> BoxFuture<'a, Result<Verdict, Error>> {
        Box::pin(async move { TokenIssuer::verify_live(self, token, &expect).await })
    }
}

#[derive(Clone)]
pub(super) enum Check {
    Offline(Arc<dyn Offline>),
    Live(Arc<dyn Live>),
}

#[derive(Clone)]
pub(super) struct Guard {
    pub(super) check: Check,
    pub(super) resource: ProtectedResource,
    pub(super) required: Scope,
    pub(super) https: Https,
    pub(super) binding: Option<Arc<ReadBinding>>,
    pub(super) on_fault: Option<Arc<OnFault>>,
}

/// How far a request got without waiting for anything.
pub(super) enum Look {
    Pass(AccessClaims),
    Refuse(Reply),
    /// The store has to be asked.
    Ask(BoxFuture<'static, Result<Verdict, Error>>),
}

impl Guard {
    pub(super) fn look(self: &Arc<Self>, parts: &Parts) -> Look {
        if !self.https.permits(parts) {
            return Look::Refuse(Refusal::INSECURE.into_reply());
        }
        let binding = self.binding.as_ref().and_then(|read| read(parts));
        let dpop = matches!(binding, Some(Binding::DpopKey(_)));
        let (scheme, token) = match Credentials::read(&parts.headers, parts.uri.query(), dpop) {
            Credentials::Token(scheme, token) => (scheme, token),
            Credentials::None => return Look::Refuse(self.challenge(StatusCode::UNAUTHORIZED, None, &self.required)),
            Credentials::Malformed => return Look::Refuse(self.refuse(VerifyError::Invalid)),
            Credentials::Misplaced => {
                let error = ErrorCode::InvalidRequest.as_str();
                return Look::Refuse(self.challenge(StatusCode::BAD_REQUEST, Some(error), &self.required));
            }
        };
        // A token that is bound to a DPoP key must not come as a bearer token, whatever proof is with it (RFC 9449 §7.2).
        let binding = binding.filter(|_| dpop == (scheme == TokenType::Dpop));
        match &self.check {
            Check::Offline(check) => match self.admit(check.verify(token, &self.expectation(binding.as_ref()))) {
                Ok(claims) => Look::Pass(claims),
                Err(reply) => Look::Refuse(*reply),
            },
            Check::Live(check) => {
                let (guard, check, token) = (Arc::clone(self), Arc::clone(check), Zeroizing::new(token.to_owned()));
                let ask = async move { check.verify_live(&token, guard.expectation(binding.as_ref())).await };
                Look::Ask(Box::pin(ask))
            }
        }
    }

    fn expectation<'a>(&'a self, binding: Option<&'a Binding>) -> Expectation<'a> {
        Expectation::resource(self.resource.resource()).binding(binding)
    }

    /// The claims of a good token, if they are enough.
    fn admit(&self, verdict: Verdict) -> Result<AccessClaims, Box<Reply>> {
        match verdict {
            Ok(claims) if self.resource.allows(claims.scope(), &self.required) => Ok(claims),
            Ok(_) => Err(Box::new(self.insufficient(&self.required))),
            Err(error) => Err(Box::new(self.refuse(error))),
        }
    }

    /// What the store said.
    pub(super) fn judge(&self, answer: Result<Verdict, Error>) -> Result<AccessClaims, Box<Reply>> {
        match answer {
            Ok(verdict) => self.admit(verdict),
            Err(fault) => {
                if let Check::Live(check) = &self.check {
                    check.report(&fault);
                }
                if let Some(report) = &self.on_fault {
                    report(&fault);
                }
                Err(Box::new(unavailable()))
            }
        }
    }

    pub(super) fn refuse(&self, error: VerifyError) -> Reply {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNAUTHORIZED);
        self.challenge(status, Some(error.as_str()), &self.required)
    }

    /// 403 with everything that the operation needs (RFC 6750 §3.1).
    pub(super) fn insufficient(&self, needed: &Scope) -> Reply {
        let error = VerifyError::Scope;
        self.challenge(StatusCode::FORBIDDEN, Some(error.as_str()), needed)
    }

    fn challenge(&self, status: StatusCode, error: Option<&str>, scope: &Scope) -> Reply {
        let mut reply = match error {
            Some(error) => json(status, &json!({ "error": error })),
            // RFC 6750 §3: nothing was presented, so nothing is wrong with it.
            None => empty(status),
        };
        set(&mut reply, WWW_AUTHENTICATE, self.resource.challenge(error, scope));
        reply
    }
}
