//! `/authorize`: check the request, let the application decide, and send the user's browser back (OAuth 2.1 §4.1.1,
//! §4.1.2).

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
use crate::messages::{AuthorizeRequest, ErrorResponse};
use crate::store::TokenStore;
use crate::token::CodeChallenge;
use std::sync::Arc;

use http::request::Parts;

/// The bytes of a grant that are reserved for the subject.
const MIN_SUBJECT: usize = 256;

/// The redirect URI and the state for the answer, which is a code or an error.
struct Return {
    redirect_uri: crate::http::RedirectUri,
    state: Option<String>,
}

impl<S: TokenStore> AuthorizationServer<S> {
    /// Answers a request to the authorization endpoint.
    pub(in crate::http) async fn authorize(&self, parts: &Parts, body: &[u8]) -> Result<Reply, Refusal> {
        let params = Params::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        // Without a known client and redirect URI there is no redirect: an attacker may have put a URI into the
        // request.
        let client_id = params.require("client_id", "client_id is required")?;
        let unknown =
            Refusal::Error(ErrorCode::InvalidRequest, "client_id must be the id of a client that this server knows");
        let unknown = || unknown.because(Reason::UnknownClient, None);
        let client = self.config.clients.find(client_id).await?.ok_or_else(unknown)?;
        let back = Return::read(&params, &client, &self.config.private_use)?;
        // An attacker can register a client and send a faulty request. The server must not redirect such a request to a
        // place of the attacker's choice, about which the user was not asked (OAuth 2.1 §7.12.2).
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

    /// Checks the request, and returns what the user is asked for.
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
            // Unsupported scopes are dropped; the token response lists what was granted (RFC 6749 §3.3).
            Some(asked) => intersection(resource.scopes(), &Scope::parse(&asked).map_err(|_| ErrorCode::InvalidScope)?),
            None => resource.scopes().clone(),
        };
        if scope.as_str().is_empty() {
            return Err(ErrorCode::InvalidScope);
        }
        // Checked before the user is asked, because afterwards the login would fail.
        let bytes = client.id().len() + scope.as_str().len() + resource.resource().as_str().len() + 1 + MIN_SUBJECT;
        if bytes > Grant::MAX_BYTES {
            let fault = Error::grant(GrantError::TooLong { bytes });
            self.report(&fault, Some(HttpEndpoint::Authorize), Some(client.id()), None);
            return Err(ErrorCode::ServerError);
        }
        let (redirect_uri, resource) = (back.redirect_uri.clone(), resource.resource().clone());
        Ok(AuthorizationRequest { client, redirect_uri, scope, resource, challenge })
    }

    /// Issues a code for what the user approved.
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

    /// Reports a refusal of a client's request to the audit.
    fn refused_client(&self, reason: Reason, client_id: &str, subject: Option<Arc<str>>) {
        let event = AuditEvent { client_id: Some(client_id.into()), subject, ..self.event() };
        self.refused(HttpEndpoint::Authorize, reason, event);
    }

    /// Redirects to the client with the code or the error, `state`, and `iss` (RFC 9207 §2).
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

/// The audit reason for a faulty request. `None` for a fault of the server, which has its own event.
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
    /// Reads where the answer goes, from the redirect URIs of the client.
    fn read(params: &Params, client: &RegisteredClient, private_use: &PrivateUseSchemes) -> Result<Self, Refusal> {
        // Redirect URIs that the application itself configured are permitted.
        let usable = client.redirect_uris().filter(|uri| client.is_preregistered() || private_use.permit(uri));
        let usable: Vec<_> = usable.collect();
        let redirect_uri = match (params.get("redirect_uri"), &usable[..]) {
            (Some(presented), usable) => usable.iter().find_map(|uri| uri.at(presented)),
            // One registration may stand for many installations, each on its own port, so only the request can name the
            // port.
            (None, [only]) if client.is_preregistered() || !only.takes_any_port() => Some((*only).clone()),
            _ => None,
        };
        let wrong = Refusal::Error(
            ErrorCode::InvalidRequest,
            "redirect_uri must be given and match a redirect URI that the client has registered",
        );
        let wrong = || wrong.because(Reason::WrongRedirect, Some(client.id()));
        Ok(Self { redirect_uri: redirect_uri.ok_or_else(wrong)?, state: params.get("state").map(str::to_owned) })
    }
}
