//! `/authorize`: a request is checked, the application decides, the user's browser is sent back (OAuth 2.1 §4.1.1, §4.1.2).

use crate::audit::{AuditEvent, ErrorCode, HttpEndpoint, Reason};
use crate::error::Error;
use crate::grant::{Grant, GrantError, Scope};
use crate::http::address::PrivateUseSchemes;
use crate::http::clients::RegisteredClient;
use crate::http::consent::{Approval, AuthorizationRequest, ConsentDecision};
use crate::http::resource::intersection;
use crate::http::server::AuthorizationServer;
use crate::http::wire::params::Params;
use crate::http::wire::reply::{Refusal, Reply, redirect, seal_page};
use crate::issuer::{AuthorizeRequest, ErrorResponse};
use crate::store::TokenStore;
use crate::token::CodeChallenge;
use std::sync::Arc;

use http::request::Parts;

/// How many bytes of a grant are left for the subject at least.
const MIN_SUBJECT: usize = 256;

/// Where an answer goes, be it a code or an error.
struct Return {
    redirect_uri: crate::http::RedirectUri,
    state: Option<String>,
}

impl<S: TokenStore> AuthorizationServer<S> {
    /// The authorization endpoint.
    pub(in crate::http) async fn authorize(&self, parts: &Parts, body: &[u8]) -> Result<Reply, Refusal> {
        let params = Params::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        // Unless both are known there is no redirect: a URI that the request alone names may be an attacker's.
        let client_id = params.need("client_id", "client_id is missing")?;
        let unknown = Refusal::Error(ErrorCode::InvalidRequest, "the client is not known here");
        let unknown = || unknown.because(Reason::UnknownClient, None);
        let client = self.config.clients.find(client_id).await?.ok_or_else(unknown)?;
        let back = Return::read(&params, &client, &self.config.private_use)?;
        // An attacker who made up both the client and the mistake must not get a redirector to a place of their choice out of
        // it, which the user was never asked about (OAuth 2.1 §7.12.2).
        let trusted = client.is_preregistered() || back.redirect_uri.is_loopback();
        let client_id = client.id().to_owned();
        let request = match self.check(&params, client, &back) {
            Ok(request) => request,
            Err(code) => {
                if let Some(reason) = refused_for(code) {
                    self.refused_client(reason, &client_id, None);
                }
                return if trusted {
                    Ok(self.send_back(&back, Err(code)))
                } else {
                    Err(ErrorResponse::new(code).into())
                };
            }
        };
        match self.config.consent.decide(&request, parts, body).await {
            ConsentDecision::Approve(approval) => {
                let code = self.approve(request, approval).await;
                Ok(self.send_back(&back, code))
            }
            ConsentDecision::Deny => {
                self.refused_client(Reason::ConsentDenied, &client_id, None);
                Ok(self.send_back(&back, Err(ErrorCode::AccessDenied)))
            }
            ConsentDecision::Show(mut page) => {
                seal_page(&mut page);
                Ok(page)
            }
        }
    }

    fn check(
        &self,
        params: &Params,
        client: RegisteredClient,
        back: &Return,
    ) -> Result<AuthorizationRequest, ErrorCode> {
        match params.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(ErrorCode::UnsupportedResponseType),
            None => return Err(ErrorCode::InvalidRequest),
        }
        let challenge = params.get("code_challenge").ok_or(ErrorCode::InvalidRequest)?;
        let method = params.get("code_challenge_method").unwrap_or("plain");
        let challenge = CodeChallenge::parse(challenge, method).map_err(|_| ErrorCode::InvalidRequest)?;
        let resource = self.config.resource_for(params.all("resource")).ok_or(ErrorCode::InvalidTarget)?;
        let scope = match params.scope() {
            // What there is not is not granted, and the token response says what is (RFC 6749 §3.3).
            Some(asked) => intersection(resource.scopes(), &Scope::parse(&asked).map_err(|_| ErrorCode::InvalidScope)?),
            None => resource.scopes().clone(),
        };
        if scope.as_str().is_empty() {
            return Err(ErrorCode::InvalidScope);
        }
        // Said before the user is asked: afterwards it would be too late.
        let bytes = client.id().len() + scope.as_str().len() + resource.resource().as_str().len() + 1 + MIN_SUBJECT;
        if bytes > Grant::MAX_BYTES {
            let fault = Error::grant(GrantError::TooLong { bytes });
            self.report(&fault, Some(HttpEndpoint::Authorize), Some(client.id()), None);
            return Err(ErrorCode::ServerError);
        }
        let (redirect_uri, resource) = (back.redirect_uri.clone(), resource.resource().clone());
        Ok(AuthorizationRequest { client, redirect_uri, scope, resource, challenge })
    }

    async fn approve(&self, request: AuthorizationRequest, approval: Approval) -> Result<String, ErrorCode> {
        let AuthorizationRequest { client, redirect_uri, scope, resource, challenge } = request;
        let scope = approval.scope.map_or(scope.clone(), |agreed| intersection(&scope, &agreed));
        if scope.as_str().is_empty() {
            self.refused_client(Reason::ConsentDenied, client.id(), Some(approval.subject.into()));
            return Err(ErrorCode::AccessDenied);
        }
        let subject: Arc<str> = approval.subject.into();
        let failed = |fault: Error, code: ErrorCode| {
            self.report(&fault, Some(HttpEndpoint::Authorize), Some(client.id()), Some(&subject));
            code
        };
        let grant = Grant::new(Arc::clone(&subject), client.id(), scope, resource).and_then(|grant| {
            approval.claims.into_iter().try_fold(grant, |grant, (name, value)| grant.with_claim(name, value))
        });
        let grant = grant.map_err(|error| failed(Error::grant(error), ErrorCode::ServerError))?;
        let authorize = AuthorizeRequest::new(grant, challenge, redirect_uri.as_str());
        let code = self.issuer.authorize(authorize).await;
        let code = code.map_err(|fault| failed(fault, ErrorCode::TemporarilyUnavailable))?;
        self.note_use(HttpEndpoint::Authorize, &client).await;
        Ok(code.expose().to_owned())
    }

    fn refused_client(&self, reason: Reason, client_id: &str, subject: Option<Arc<str>>) {
        let event = AuditEvent { client_id: Some(client_id.into()), subject, ..self.event() };
        self.refused(HttpEndpoint::Authorize, reason, event);
    }

    /// To the client with the code or the error, `state`, and `iss` (RFC 9207 §2).
    fn send_back(&self, back: &Return, outcome: Result<String, ErrorCode>) -> Reply {
        let uri = back.redirect_uri.as_str();
        let separator = if uri.contains('?') { '&' } else { '?' };
        let start = format!("{uri}{separator}");
        let length = start.len();
        let mut query = form_urlencoded::Serializer::for_suffix(start, length);
        match &outcome {
            Ok(code) => query.append_pair("code", code),
            Err(error) => query.append_pair("error", error.as_str()),
        };
        if let Some(state) = &back.state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", self.config.issuer.as_str());
        redirect(&query.finish())
    }
}

/// Why a request with a mistake was refused. `None` for a fault, which is an event of its own.
fn refused_for(code: ErrorCode) -> Option<Reason> {
    match code {
        ErrorCode::ServerError => None,
        ErrorCode::UnsupportedResponseType => Some(Reason::UnsupportedResponseType),
        ErrorCode::InvalidTarget => Some(Reason::UnknownResource),
        ErrorCode::InvalidScope => Some(Reason::UnsupportedScope),
        _ => Some(Reason::BadRequest),
    }
}

impl Return {
    fn read(params: &Params, client: &RegisteredClient, private_use: &PrivateUseSchemes) -> Result<Self, Refusal> {
        // What the application wrote down itself it has allowed itself.
        let usable = client.redirect_uris().filter(|uri| client.is_preregistered() || private_use.permit(uri));
        let usable: Vec<_> = usable.collect();
        let redirect_uri = match (params.get("redirect_uri"), &usable[..]) {
            (Some(presented), usable) => usable.iter().find_map(|uri| uri.at(presented)),
            // One registration may stand for many installations, each on a port of its own: only the request can say which.
            (None, [only]) if client.is_preregistered() || !only.takes_any_port() => Some((*only).clone()),
            _ => None,
        };
        let wrong = Refusal::Error(ErrorCode::InvalidRequest, "redirect_uri is missing, or is not one of the client's");
        let wrong = || wrong.because(Reason::WrongRedirect, Some(client.id()));
        Ok(Self { redirect_uri: redirect_uri.ok_or_else(wrong)?, state: params.get("state").map(str::to_owned) })
    }
}
