//! The authorization server: its configuration, and the endpoint that answers a request.

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
use super::wire::error_page;
use super::wire::reply::{Cause, Refusal, Reply, json, without_content};
use super::wire::tls::TlsPolicy;
use crate::audit::{Action, AuditEvent, HttpEndpoint, Reason};
use crate::error::Error;
use crate::grant::{Binding, Resource};
use crate::issuer::TokenIssuer;
use crate::net::uri;
use crate::shown::shown_url;
use crate::store::TokenStore;

/// The largest request body, in bytes.
pub(super) const MAX_BODY: usize = 16 * 1024;
/// The longest query, in bytes.
pub(super) const MAX_QUERY: usize = 8 * 1024;

/// Decides whether a client may register.
type Admit = dyn Fn(&Parts, &ClientMetadata) -> bool + Send + Sync;
/// Reads the binding that a request proves.
pub(super) type ReadBinding = dyn Fn(&Parts) -> Option<Binding> + Send + Sync;
/// The application's report of a fault.
pub(super) type OnFault = dyn Fn(&Error) + Send + Sync;

/// The configuration of a server, except its issuer.
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
    pub(super) tls: TlsPolicy,
    pub(super) cors: Cors,
    pub(super) on_fault: Option<Arc<OnFault>>,
    /// Shared by all bearer layers of this server.
    pub(super) reads: Arc<FamilyReads>,
    pub(super) session_ids: Arc<SessionIds>,
}

impl Config {
    /// The endpoint at `path`.
    fn endpoint(&self, path: &str) -> Option<Endpoint<'_>> {
        // RFC 8414 §3.1: the well-known path goes between the host and the path of the issuer.
        if path.strip_prefix("/.well-known/oauth-authorization-server") == Some(self.issuer.path()) {
            return Some(Endpoint::Metadata);
        }
        // The path may be spelled differently, because the client's URL may come from a browser or a user.
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

    /// The binding that a request proves, if any.
    pub(super) fn binding(&self, parts: &Parts) -> Option<Binding> {
        self.binding.as_ref().and_then(|read| read(parts))
    }

    /// The resource that `asked` names. If `asked` is empty, the only resource; `None` if there are several.
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

/// An endpoint of the server.
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
    /// The methods that the endpoint accepts.
    fn methods(&self) -> &'static str {
        match self {
            Self::Metadata | Self::ResourceMetadata(_) => "GET, HEAD",
            Self::Authorize => "GET, POST",
            Self::Token | Self::Revoke | Self::Introspect | Self::Register => "POST",
        }
    }

    /// The name of the endpoint in audit events. Metadata is public, so its refusals are not reported.
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

    /// Whether web pages of other origins may use the endpoint. A browser navigates to the authorization endpoint, and
    /// no page may read it (RFC 9700 §2.6). Introspection is for resource servers.
    fn is_cross_origin(&self) -> bool {
        !matches!(self, Self::Authorize | Self::Introspect)
    }
}

/// The OAuth endpoints of an authorization server, for one issuer. It takes a request's parts and body and returns the
/// response.
///
/// [`handle`](Self::handle) is the only entry point, so that TLS, methods, limits and CORS are checked for all
/// endpoints. [`service`](Self::service) is the same as a tower service.
///
/// | path under the issuer's | method | specification |
/// |---|---|---|
/// | `/authorize` | GET, POST | OAuth 2.1 §4.1, RFC 9207, 8707 |
/// | `/token` | POST | OAuth 2.1 §4.1.3, §4.3 |
/// | `/revoke` | POST | RFC 7009 |
/// | `/introspect`, if a client may | POST | RFC 7662 |
/// | `/register`, if clients may | POST | RFC 7591 |
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
    /// Creates the authorization server `identifier`, such as `https://mcp.example.com`, for one protected resource.
    ///
    /// Clients get `identifier` byte for byte (RFC 8414 §2, RFC 9207 §2).
    ///
    /// # Errors
    ///
    /// [`ConfigError::Issuer`] unless `identifier` is an `https` URL, or `http` on a loopback host, without query and
    /// fragment.
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
            tls: TlsPolicy::default(),
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

    /// Adds a protected resource. With more than one, clients have to name the resource that they mean.
    #[must_use]
    pub fn with_resource(self, resource: ProtectedResource) -> Self {
        self.with(|config| config.resources.push(resource))
    }

    /// Enables registration (RFC 7591) for the clients that `admit` accepts; `|_, _| true` accepts all.
    ///
    /// # Security
    ///
    /// Limit the rate of requests to `/register` if `admit` accepts anonymous clients.
    #[must_use]
    pub fn with_registration(self, admit: impl Fn(&Parts, &ClientMetadata) -> bool + Send + Sync + 'static) -> Self {
        self.with(|config| config.admit = Some(Arc::new(admit)))
    }

    /// Permits private-use schemes (RFC 8252 §7.1) in the redirect URIs of public clients that register or have a
    /// document. Permitted are all reversed domain names, such as `com.example.app`, and the schemes in `named`, such
    /// as `cursor`. Without this setting such redirect URIs are dropped from a registration.
    ///
    /// The MCP authorization specification permits only `https` and loopback hosts, but some clients support nothing
    /// else.
    ///
    /// # Security
    ///
    /// Any app on a user's machine can claim a scheme, as any program can listen on a loopback host. The code verifier
    /// (PKCE) makes the code useless to it. Warn users as for [loopback hosts](super::RedirectUri::is_loopback).
    ///
    /// # Errors
    ///
    /// [`SchemeError`] for a known scheme that a browser or the operating system handles itself, such as `javascript`
    /// or `file`.
    pub fn with_private_use_schemes<'a>(self, named: impl IntoIterator<Item = &'a str>) -> Result<Self, SchemeError> {
        let schemes = PrivateUseSchemes::new(named)?;
        Ok(self.with(|config| config.private_use = schemes))
    }

    /// States in the metadata that clients may be identified by a document. The registry has to support this, such as
    /// [`WithDocuments`](super::WithDocuments).
    #[must_use]
    pub fn with_client_documents(self) -> Self {
        self.with(|config| config.documents = true)
    }

    /// Permits introspection (RFC 7662) of access tokens for `resource` to the confidential client `client_id`. It sees
    /// all other tokens as inactive.
    #[must_use]
    pub fn with_introspection(self, client_id: impl Into<String>, resource: Resource) -> Self {
        self.with(|config| config.introspectors.push((client_id.into(), resource)))
    }

    /// Sets how to read the binding that a request proves: a certificate, a verified DPoP key, or a fingerprint.
    #[must_use]
    pub fn with_binding(self, read: impl Fn(&Parts) -> Option<Binding> + Send + Sync + 'static) -> Self {
        self.with(|config| config.binding = Some(Arc::new(read)))
    }

    /// Sets how a request proves that it came over TLS. The default is a [`Connection`](super::Connection) in each
    /// request.
    #[must_use]
    pub fn with_tls(self, tls: TlsPolicy) -> Self {
        self.with(|config| config.tls = tls)
    }

    /// Sets the rules for web pages of other origins.
    #[must_use]
    pub fn with_cors(self, cors: Cors) -> Self {
        self.with(|config| config.cors = cors)
    }

    /// Calls `report` for each fault of the server behind a 503 or a `server_error`. The issuer's audit log has each
    /// fault too, as [`Action::Fault`]; the error has the details.
    #[must_use]
    pub fn with_fault_report(self, report: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.with(|config| config.on_fault = Some(Arc::new(report)))
    }

    /// Returns the issuer.
    pub fn issuer(&self) -> &Arc<TokenIssuer<S>> {
        &self.issuer
    }

    /// Answers a request to the endpoint at its path, or with 404 if there is none.
    ///
    /// Errors of the authorization endpoint, and 404 for other paths, are HTML for a client that prefers HTML, and JSON otherwise.
    pub async fn handle(&self, parts: &Parts, body: &[u8]) -> Reply {
        self.respond(parts, Ok(body)).await
    }

    /// Returns whether [`handle`](Self::handle) has an endpoint at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.config.endpoint(path).is_some()
    }

    /// Answers a request whose body may be unreadable.
    pub(super) async fn respond(&self, parts: &Parts, body: Result<&[u8], Refusal>) -> Reply {
        let reply = match self.config.endpoint(parts.uri.path()) {
            Some(endpoint) => self.serve(endpoint, parts, body).await,
            None => {
                let refusal = Refusal::Status(StatusCode::NOT_FOUND, "this server has no endpoint at this path");
                error_page::for_person(&parts.headers, refusal.into_reply())
            }
        };
        if parts.method == Method::HEAD { without_content(reply) } else { reply }
    }

    async fn serve(&self, endpoint: Endpoint<'_>, parts: &Parts, body: Result<&[u8], Refusal>) -> Reply {
        let cors = endpoint.is_cross_origin().then_some(&self.config.cors);
        if let Some(preflight) = cors.and_then(|cors| cors.preflight(parts, endpoint.methods())) {
            return preflight;
        }
        let (place, is_for_people) = (endpoint.place(), matches!(endpoint, Endpoint::Authorize));
        let mut reply = self.dispatch(endpoint, parts, body).await.unwrap_or_else(|refusal| {
            if let Refusal::Fault(fault) = &refusal {
                self.report(fault, place, None, None);
            }
            if let (Some(place), Some(Cause { reason, client_id })) = (place, refusal.cause()) {
                self.refused(place, reason, AuditEvent { client_id, ..self.event() });
            }
            let reply = refusal.into_reply();
            if is_for_people { error_page::for_person(&parts.headers, reply) } else { reply }
        });
        if let Some(cors) = cors {
            cors.apply(parts, &mut reply);
        }
        reply
    }

    /// Checks what applies to all endpoints, then calls the endpoint.
    async fn dispatch(
        &self,
        endpoint: Endpoint<'_>,
        parts: &Parts,
        body: Result<&[u8], Refusal>,
    ) -> Result<Reply, Refusal> {
        if !self.config.tls.permits(parts) {
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

    /// Records in the registry that `client` is in use. A fault does not affect the client, because its next use is
    /// recorded too.
    pub(super) async fn note_use(&self, place: HttpEndpoint, client: &RegisteredClient) {
        if let Err(fault) = self.config.clients.used(client).await {
            self.report(&fault, Some(place), Some(client.id()), None);
        }
    }

    pub(super) fn event(&self) -> AuditEvent {
        AuditEvent::new(self.issuer.clock.now(), Action::Deny)
    }

    /// Reports a refusal to the audit.
    pub(super) fn refused(&self, place: HttpEndpoint, reason: Reason, event: AuditEvent) {
        self.issuer.report(event.because(reason).at_endpoint(place));
    }

    /// Reports a fault behind the answer of an endpoint, with the client and the subject as far as they are known.
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
        let Config { issuer, resources, tls, cors, .. } = &*self.config;
        f.debug_struct("AuthorizationServer")
            .field("issuer", &issuer.as_str())
            .field("resources", resources)
            .field("tls", tls)
            .field("cors", cors)
            .finish_non_exhaustive()
    }
}
