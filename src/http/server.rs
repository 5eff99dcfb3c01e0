//! The authorization server: what it is configured with, and which endpoint a request goes to.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, StatusCode};

use super::address::{Issuer, PrivateUseSchemes, SchemeError};
use super::bearer::{FamilyReads, SessionIds};
use super::clients::{ClientMetadata, ClientRegistry, RegisteredClient};
use super::config_error::ConfigError;
use super::consent::Consent;
use super::resource::ProtectedResource;
use super::wire::body::Unreadable;
use super::wire::cors::Cors;
use super::wire::reply::{Cause, Refusal, Reply, json, without_content};
use super::wire::tls::TlsPolicy;
use crate::audit::{Action, AuditEvent, HttpEndpoint, Reason};
use crate::crypto::shown::shown_url;
use crate::error::Error;
use crate::grant::{Binding, Resource};
use crate::issuer::TokenIssuer;
use crate::net::uri;
use crate::store::TokenStore;

/// The largest request body that is read, in bytes.
pub(super) const MAX_BODY: usize = 16 * 1024;
/// The longest query, in bytes.
const MAX_QUERY: usize = 8 * 1024;

type Admit = dyn Fn(&Parts, &ClientMetadata) -> bool + Send + Sync;
/// What a request proves to be bound to.
pub(super) type ReadBinding = dyn Fn(&Parts) -> Option<Binding> + Send + Sync;
/// What the application does about a fault.
pub(super) type OnFault = dyn Fn(&Error) + Send + Sync;

/// Everything about a server but its issuer.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) issuer: Issuer,
    pub(super) resources: Vec<ProtectedResource>,
    pub(super) clients: Arc<dyn ClientRegistry>,
    pub(super) consent: Arc<dyn Consent>,
    pub(super) admit: Option<Arc<Admit>>,
    pub(super) documents: bool,
    pub(super) private_use: PrivateUseSchemes,
    pub(super) introspectors: Vec<(String, Resource)>,
    pub(super) binding: Option<Arc<ReadBinding>>,
    pub(super) https: TlsPolicy,
    pub(super) cors: Cors,
    pub(super) on_fault: Option<Arc<OnFault>>,
    /// What all bearer layers of this server share.
    pub(super) reads: Arc<FamilyReads>,
    pub(super) session_ids: Arc<SessionIds>,
}

impl Config {
    fn endpoint(&self, path: &str) -> Option<Endpoint<'_>> {
        // RFC 8414 §3.1: between the host and the path of the issuer.
        if path.strip_prefix("/.well-known/oauth-authorization-server") == Some(self.issuer.path()) {
            return Some(Endpoint::Metadata);
        }
        // However the client spells it: its URL may have come out of a browser, or from a user.
        let spelled = uri::normalize_path(path);
        let named = |resource: &&ProtectedResource| spelled == resource.metadata_path();
        if let Some(resource) = self.resources.iter().find(named) {
            return Some(Endpoint::ResourceMetadata(resource));
        }
        match path.strip_prefix(self.issuer.path())? {
            "/authorize" => Some(Endpoint::Authorize),
            "/token" => Some(Endpoint::Token),
            "/revoke" => Some(Endpoint::Revoke),
            "/introspect" if !self.introspectors.is_empty() => Some(Endpoint::Introspect),
            "/register" if self.admit.is_some() => Some(Endpoint::Register),
            _ => None,
        }
    }

    pub(super) fn binding(&self, parts: &Parts) -> Option<Binding> {
        self.binding.as_ref().and_then(|read| read(parts))
    }

    /// The one resource that `asked` names; the only one there is if it names none.
    pub(super) fn resource_for<'a>(&self, mut asked: impl Iterator<Item = &'a str>) -> Option<&ProtectedResource> {
        let Some(first) = asked.next() else {
            return match &self.resources[..] {
                [only] => Some(only),
                _ => None,
            };
        };
        let wanted = Resource::parse(first).ok()?;
        let same = asked.all(|other| Resource::parse(other).as_ref() == Ok(&wanted));
        self.resources.iter().find(|known| same && *known.resource() == wanted)
    }
}

/// What a path leads to.
enum Endpoint<'a> {
    Metadata,
    ResourceMetadata(&'a ProtectedResource),
    Authorize,
    Token,
    Revoke,
    Introspect,
    Register,
}

impl Endpoint<'_> {
    /// The methods it takes.
    fn methods(&self) -> &'static str {
        match self {
            Self::Metadata | Self::ResourceMetadata(_) => "GET, HEAD",
            Self::Authorize => "GET, POST",
            Self::Token | Self::Revoke | Self::Introspect | Self::Register => "POST",
        }
    }

    /// What the audit calls it. Metadata is public, so nothing of interest is refused there.
    fn place(&self) -> Option<HttpEndpoint> {
        match self {
            Self::Metadata | Self::ResourceMetadata(_) => None,
            Self::Authorize => Some(HttpEndpoint::Authorize),
            Self::Token => Some(HttpEndpoint::Token),
            Self::Revoke => Some(HttpEndpoint::Revoke),
            Self::Introspect => Some(HttpEndpoint::Introspect),
            Self::Register => Some(HttpEndpoint::Register),
        }
    }

    /// Whether web pages of other origins may use it. The authorization endpoint is for a browser to go to and not for a page to
    /// read (RFC 9700 §2.6), introspection is for resource servers.
    fn is_cross_origin(&self) -> bool {
        !matches!(self, Self::Authorize | Self::Introspect)
    }
}

/// The OAuth endpoints of an authorization server, on an issuer: request parts and body in, response out, no I/O.
///
/// [`handle`](Self::handle) is the one way in, so that none gets past what holds for all of them: TLS, methods, limits, CORS.
/// [`service`](Self::service) is the same as a tower service.
///
/// | path under the issuer's | method | specification |
/// |---|---|---|
/// | `/authorize` | GET, POST | OAuth 2.1 §4.1, RFC 9207, 8707 |
/// | `/token` | POST | OAuth 2.1 §4.1.3, §4.3 |
/// | `/revoke` | POST | RFC 7009 |
/// | `/introspect`, if a client may | POST | RFC 7662 |
/// | `/register`, if a client may | POST | RFC 7591 |
///
/// | path at the root | specification |
/// |---|---|
/// | `/.well-known/oauth-authorization-server` and the issuer's path | RFC 8414 |
/// | `/.well-known/oauth-protected-resource` and the resource's path | RFC 9728 |
pub struct AuthorizationServer<S> {
    pub(super) issuer: Arc<TokenIssuer<S>>,
    pub(super) config: Arc<Config>,
}

impl<S> Clone for AuthorizationServer<S> {
    fn clone(&self) -> Self {
        Self { issuer: Arc::clone(&self.issuer), config: Arc::clone(&self.config) }
    }
}

impl<S: TokenStore> AuthorizationServer<S> {
    /// The authorization server `identifier`, such as `https://mcp.example.com`, for one protected resource.
    ///
    /// `identifier` is given to clients byte for byte (RFC 8414 §2, RFC 9207 §2).
    ///
    /// # Errors
    ///
    /// [`ConfigError::Issuer`].
    pub fn new(
        identifier: &str,
        issuer: Arc<TokenIssuer<S>>,
        resource: ProtectedResource,
        clients: impl ClientRegistry + 'static,
        consent: impl Consent + 'static,
    ) -> Result<Self, ConfigError> {
        let config = Config {
            issuer: Issuer::parse(identifier).ok_or_else(|| ConfigError::Issuer { found: shown_url(identifier) })?,
            resources: vec![resource],
            clients: Arc::new(clients),
            consent: Arc::new(consent),
            admit: None,
            documents: false,
            private_use: PrivateUseSchemes::default(),
            introspectors: Vec::new(),
            binding: None,
            https: TlsPolicy::default(),
            cors: Cors::default(),
            on_fault: None,
            reads: Arc::default(),
            session_ids: Arc::default(),
        };
        Ok(Self { issuer, config: Arc::new(config) })
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    /// With one more protected resource. Clients then have to name the one they mean.
    #[must_use]
    pub fn with_resource(self, resource: ProtectedResource) -> Self {
        self.with(|config| config.resources.push(resource))
    }

    /// With registration (RFC 7591) for the clients that `admit` lets in: all of them, with `|_, _| true`. Then limit
    /// the rate of requests to `/register`.
    #[must_use]
    pub fn with_registration(self, admit: impl Fn(&Parts, &ClientMetadata) -> bool + Send + Sync + 'static) -> Self {
        self.with(|config| config.admit = Some(Arc::new(admit)))
    }

    /// With private-use schemes (RFC 8252 §7.1) in the redirect URIs of public clients that register or are known by a document:
    /// every reversed domain name, such as `com.example.app`, and those that are `named`, such as `cursor`. Without this, such
    /// redirect URIs are left out of a registration.
    ///
    /// Any app on a user's machine can claim a scheme, as any program can listen on a loopback host: the code verifier (PKCE) keeps
    /// the code from being of use to it. Warn users as for [loopback hosts](super::RedirectUri::is_loopback). The MCP authorization
    /// specification speaks of `https` and loopback hosts alone, and some clients have nothing else.
    ///
    /// # Errors
    ///
    /// [`SchemeError`] for a known scheme that a browser or the system handles itself, such as `javascript` or `file`.
    pub fn with_private_use_schemes<'a>(self, named: impl IntoIterator<Item = &'a str>) -> Result<Self, SchemeError> {
        let schemes = PrivateUseSchemes::new(named)?;
        Ok(self.with(|config| config.private_use = schemes))
    }

    /// Say in the metadata that clients may be known by a document; the registry has to be one that finds them, such as
    /// [`WithDocuments`](super::WithDocuments).
    #[must_use]
    pub fn with_client_documents(self) -> Self {
        self.with(|config| config.documents = true)
    }

    /// With introspection (RFC 7662) for the confidential client `client_id`, of access tokens for `resource`. Any other
    /// token is inactive to it.
    #[must_use]
    pub fn with_introspection(self, client_id: impl Into<String>, resource: Resource) -> Self {
        self.with(|config| config.introspectors.push((client_id.into(), resource)))
    }

    /// With what a request proves to be bound to: a certificate, a verified DPoP key, or a fingerprint.
    #[must_use]
    pub fn with_binding(self, read: impl Fn(&Parts) -> Option<Binding> + Send + Sync + 'static) -> Self {
        self.with(|config| config.binding = Some(Arc::new(read)))
    }

    /// With another proof of TLS than a [`Connection`](super::Connection) in each request.
    #[must_use]
    pub fn with_tls(self, https: TlsPolicy) -> Self {
        self.with(|config| config.https = https)
    }

    /// With other rules for web pages of other origins.
    #[must_use]
    pub fn with_cors(self, cors: Cors) -> Self {
        self.with(|config| config.cors = cors)
    }

    /// With a call of `report` for every fault of the server behind a 503 or a `server_error`. Each is in the audit log of the issuer as
    /// well, as [`Action::Fault`]; the error has the details.
    #[must_use]
    pub fn with_fault_report(self, report: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.with(|config| config.on_fault = Some(Arc::new(report)))
    }

    /// The issuer.
    pub fn issuer(&self) -> &Arc<TokenIssuer<S>> {
        &self.issuer
    }

    /// Answer a request by its path.
    pub async fn handle(&self, parts: &Parts, body: &[u8]) -> Reply {
        self.respond(parts, Ok(body)).await
    }

    /// Whether `path` is one that [`handle`](Self::handle) answers.
    pub fn has(&self, path: &str) -> bool {
        self.config.endpoint(path).is_some()
    }

    /// The answer to a request whose body may be unreadable.
    pub(super) async fn respond(&self, parts: &Parts, body: Result<&[u8], Refusal>) -> Reply {
        let reply = match self.config.endpoint(parts.uri.path()) {
            Some(endpoint) => self.serve(endpoint, parts, body).await,
            None => Refusal::Status(StatusCode::NOT_FOUND, "there is no such endpoint").into_reply(),
        };
        if parts.method == Method::HEAD { without_content(reply) } else { reply }
    }

    async fn serve(&self, endpoint: Endpoint<'_>, parts: &Parts, body: Result<&[u8], Refusal>) -> Reply {
        let cors = endpoint.is_cross_origin().then_some(&self.config.cors);
        if let Some(preflight) = cors.and_then(|cors| cors.preflight(parts, endpoint.methods())) {
            return preflight;
        }
        let place = endpoint.place();
        let mut reply = self.dispatch(endpoint, parts, body).await.unwrap_or_else(|refusal| {
            if let Refusal::Fault(fault) = &refusal {
                self.report(fault, place, None, None);
            }
            if let (Some(place), Some(Cause { reason, client_id })) = (place, refusal.cause()) {
                self.refused(place, reason, AuditEvent { client_id, ..self.event() });
            }
            refusal.into_reply()
        });
        if let Some(cors) = cors {
            cors.apply(parts, &mut reply);
        }
        reply
    }

    /// What holds for every endpoint, then the endpoint.
    async fn dispatch(
        &self,
        endpoint: Endpoint<'_>,
        parts: &Parts,
        body: Result<&[u8], Refusal>,
    ) -> Result<Reply, Refusal> {
        if !self.config.https.permits(parts) {
            return Err(Refusal::INSECURE.because(Reason::Insecure, None));
        }
        if !endpoint.methods().split(", ").any(|method| method == parts.method) {
            return Err(Refusal::Method(endpoint.methods()));
        }
        let body = body?;
        if body.len() > MAX_BODY || parts.uri.query().is_some_and(|query| query.len() > MAX_QUERY) {
            return Err(Unreadable::TooLong.into());
        }
        match endpoint {
            Endpoint::Metadata => Ok(json(StatusCode::OK, &self.config.metadata())),
            Endpoint::ResourceMetadata(resource) => {
                Ok(json(StatusCode::OK, &resource.metadata(self.config.issuer.as_str())))
            }
            Endpoint::Authorize => self.authorize(parts, body).await,
            Endpoint::Token => self.token(parts, body).await,
            Endpoint::Revoke => self.revoke(parts, body).await,
            Endpoint::Introspect => self.introspect(parts, body).await,
            Endpoint::Register => self.register(parts, body).await,
        }
    }

    /// Have the registry count the lifetime of `client` from now. A fault costs the client nothing: its next use is noted as well.
    pub(super) async fn note_use(&self, place: HttpEndpoint, client: &RegisteredClient) {
        if let Err(fault) = self.config.clients.used(client).await {
            self.report(&fault.into(), Some(place), Some(client.id()), None);
        }
    }

    pub(super) fn event(&self) -> AuditEvent {
        AuditEvent::new(self.issuer.clock.now(), Action::Deny)
    }

    /// Report a refusal to the audit.
    pub(super) fn refused(&self, place: HttpEndpoint, reason: Reason, event: AuditEvent) {
        self.issuer.report(event.because(reason).at_endpoint(place));
    }

    /// Report a fault behind the answer of an endpoint, with the client and the subject as far as they are known.
    pub(super) fn report(
        &self,
        fault: &Error,
        endpoint: Option<HttpEndpoint>,
        client_id: Option<&str>,
        subject: Option<&str>,
    ) {
        let event = AuditEvent::new(self.issuer.clock.now(), Action::Fault).because(Reason::Fault(fault.kind()));
        let (client_id, subject) = (client_id.map(Arc::from), subject.map(Arc::from));
        self.issuer.report(AuditEvent { endpoint, client_id, subject, ..event });
        if let Some(report) = &self.config.on_fault {
            report(fault);
        }
    }
}

impl<S> fmt::Debug for AuthorizationServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { issuer, resources, https, cors, .. } = &*self.config;
        f.debug_struct("AuthorizationServer")
            .field("issuer", &issuer.as_str())
            .field("resources", resources)
            .field("https", https)
            .field("cors", cors)
            .finish_non_exhaustive()
    }
}
