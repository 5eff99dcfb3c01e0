//! The access token check as a tower layer.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::check::BearerGuard;
use super::guard::{Admission, Guard, Live, no_session, no_upgrade};
use super::protected::ProtectedBody;
use super::session_ids::SessionIds;
use super::tools::ToolScopeLayer;
use super::watch::{Following, TokenWatch, tokio_sleep};
use crate::audit::{AuditSink, NoAudit, Reason};
use crate::grant::{AccessClaims, Binding, Scope, SubjectAndClient};
use crate::http::config_error::ConfigError;
use crate::http::resource::{ProtectedResource, optional_scopes, union};
use crate::http::server::AuthorizationServer;
use crate::http::wire::body::{MAX_MESSAGE, poll_discard};
use crate::http::wire::cors::{Cors, CrossOrigin};
use crate::http::wire::reply::Reply;
use crate::http::wire::tls::TlsPolicy;
use crate::issuer::TokenIssuer;
use crate::keys::MasterKey;
use crate::store::{BoxFuture, TokenStore};
use crate::time::{Clock, SystemClock};
use crate::verifier::AccessVerifier;

/// The default interval at which the live check is repeated for open responses.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// The response headers that web pages may read by default.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("mcp-protocol-version, mcp-session-id, retry-after, www-authenticate");

/// Protects a service. Only requests with a good access token reach it, without the token and with its [`AccessClaims`]
/// in their extensions.
///
/// | request | answer |
/// |---|---|
/// | without a token in the header, or with another scheme | 401, without `error` |
/// | with a token that is malformed, not from this issuer, expired, for another resource, or revoked | 401 `invalid_token` |
/// | without a required scope | 403 `insufficient_scope`, with all required scopes |
/// | with two `Authorization` headers, or a token in the header and in the query | 400 `invalid_request` |
/// | a preflight (`OPTIONS` with `Access-Control-Request-Method`) | 204 with what [`Cors`] permits |
/// | over plain HTTP, according to [`TlsPolicy`] | 400 |
/// | that upgrades the connection, unless [`with_upgrades`](Self::with_upgrades) | 501, or what the service answers to it without `Upgrade` |
/// | in the MCP session of another subject or client | 404 |
/// | while the store does not answer (live check) | 503 with `Retry-After` |
///
/// Each of the first four has one `WWW-Authenticate` header that names the resource's metadata (RFC 9728 §5.1). Web
/// pages may read it and all answers of the service, unless [`with_cors`](Self::with_cors) changes that or the service
/// sets its own CORS headers. A refused message is read to its end, up to 4 MiB, because otherwise its connection would
/// be lost. The transport has to limit how slowly a message may arrive.
///
/// # Open responses
///
/// A response body ends with the token that opened it: at its expiry or, with the live check, when a read of the store
/// shows that the token is no longer live. The store is read every 60 seconds
/// ([`with_look_interval`](Self::with_look_interval)), with one read for all responses that are open on a family. While
/// a read is running, frames wait for it. While the store fails, no token counts as revoked and frames pass until the
/// expiry; the read is repeated every 5 seconds.
///
/// The client of a stream, such as server-sent events, sees it end as if the service had ended it, opens it again, and
/// gets a 401. A body with an announced length is cut off, which the client sees as an error. An answer that is
/// complete when its body is first polled is not cut off, because the token was good when the request was accepted. A
/// request body is read for as long as the service reads it.
///
/// The clock decides when a body ends, and a tokio timer wakes idle ones. On another runtime set its timer with
/// [`with_sleep`](Self::with_sleep). Without a timer an idle stream stays open until its next frame, which is not
/// passed on.
///
/// An upgraded or tunnelled connection leaves HTTP and so this layer. The application has to permit it with
/// [`with_upgrades`](Self::with_upgrades) and close it with a [`TokenWatch`].
///
/// # MCP sessions
///
/// The id of an MCP session (`Mcp-Session-Id`) is valid only for the subject and client that opened the session: the
/// layer appends a keyed tag to the service's id and removes it again. Several processes need one key for that
/// ([`with_session_key`](Self::with_session_key)). With another user's or client's token the answer is 404, after which
/// a client opens its own session.
///
/// # Panics
///
/// The bodies panic on a tokio runtime whose timers are not enabled.
#[derive(Clone)]
pub struct BearerLayer {
    guard: Arc<Guard>,
}

impl<S: TokenStore + 'static> AuthorizationServer<S> {
    /// Returns a layer that protects the first resource of this server without reading the store. It does not see a
    /// revocation before the token expires.
    pub fn bearer(&self) -> BearerLayer {
        self.layer(None)
    }

    /// Returns a layer that protects the first resource of this server with the live check: one read of the store for
    /// each request, and one each minute for each family with open responses.
    pub fn bearer_live(&self) -> BearerLayer {
        self.layer(Some(Live {
            check: Arc::<TokenIssuer<S>>::clone(self.issuer()),
            reads: Arc::clone(&self.config.reads),
            interval: LOOK_INTERVAL,
        }))
    }

    fn layer(&self, live: Option<Live>) -> BearerLayer {
        let (config, issuer) = (&self.config, self.issuer());
        let guard = Guard {
            verifier: Arc::<TokenIssuer<S>>::clone(issuer),
            live,
            resource: config.resources[0].clone(),
            required: Scope::default(),
            tls: config.tls,
            cors: config.cors.clone(),
            exposed: EXPOSED,
            binding: config.binding.clone(),
            on_fault: config.on_fault.clone(),
            clock: Arc::clone(&issuer.clock),
            audit: Arc::clone(&issuer.audit),
            sleep: Arc::new(tokio_sleep),
            upgrades: false,
            session_ids: Arc::clone(&config.session_ids),
        };
        BearerLayer { guard: Arc::new(guard) }
    }
}

impl BearerLayer {
    /// Creates a layer that protects `resource` without a store, on a server that holds the access keys of that
    /// resource alone: [`AccessKeys::for_resource`](crate::AccessKeys::for_resource).
    pub fn offline(verifier: AccessVerifier, resource: ProtectedResource) -> Self {
        let guard = Guard {
            verifier: Arc::new(verifier),
            live: None,
            resource,
            required: Scope::default(),
            tls: TlsPolicy::default(),
            cors: Cors::default(),
            exposed: EXPOSED,
            binding: None,
            on_fault: None,
            clock: Arc::new(SystemClock),
            audit: Arc::new(NoAudit),
            sleep: Arc::new(tokio_sleep),
            upgrades: false,
            session_ids: Arc::default(),
        };
        Self { guard: Arc::new(guard) }
    }

    fn with(mut self, change: impl FnOnce(&mut Guard)) -> Self {
        change(Arc::make_mut(&mut self.guard));
        self
    }

    /// Sets another resource of the same server to protect.
    #[must_use]
    pub fn for_resource(self, resource: ProtectedResource) -> Self {
        self.with(|guard| guard.resource = resource)
    }

    /// Adds space-separated scopes that each request requires.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Scope`] if one of them is not a scope.
    pub fn require_scope(self, scope: &str) -> Result<Self, ConfigError> {
        let more = optional_scopes(|| "a required scope".to_owned(), scope)?;
        Ok(self.with(|guard| guard.required = union(&guard.required, &more)))
    }

    /// Sets how a request proves that it came over TLS. The default is a [`Connection`](crate::http::Connection) in
    /// each request.
    #[must_use]
    pub fn with_tls(self, tls: TlsPolicy) -> Self {
        self.with(|guard| guard.tls = tls)
    }

    /// Sets the rules for web pages of other origins; the default is that of the server. [`Cors::Deny`] leaves
    /// preflights to a layer around this one.
    #[must_use]
    pub fn with_cors(self, cors: Cors) -> Self {
        self.with(|guard| guard.cors = cors)
    }

    /// Adds response headers that web pages may read (`Access-Control-Expose-Headers`), besides `WWW-Authenticate`,
    /// `Retry-After`, `Mcp-Session-Id` and `Mcp-Protocol-Version`.
    #[must_use]
    pub fn with_exposed_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.with(|guard| {
            let mut exposed = guard.exposed.as_bytes().to_vec();
            names.into_iter().for_each(|name| exposed.extend([b", ", name.as_str().as_bytes()].concat()));
            guard.exposed = HeaderValue::from_bytes(&exposed).unwrap_or(EXPOSED);
        })
    }

    /// Sets how to read the binding that a request proves.
    #[must_use]
    pub fn with_binding(self, read: impl Fn(&Parts) -> Option<Binding> + Send + Sync + 'static) -> Self {
        self.with(|guard| guard.binding = Some(Arc::new(read)))
    }

    /// Sets the clock. The layers of an [`AuthorizationServer`] use the clock of the issuer by default.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        self.with(|guard| guard.clock = Arc::new(clock))
    }

    /// Sends refusals to `sink`. The layers of an [`AuthorizationServer`] use the sink of the issuer by default.
    #[must_use]
    pub fn with_audit(self, sink: impl AuditSink + 'static) -> Self {
        self.with(|guard| guard.audit = Arc::new(sink))
    }

    /// Sets another timer than tokio's, which wakes idle streams.
    #[must_use]
    pub fn with_sleep<F: Future<Output = ()> + Send + 'static>(
        self,
        sleep: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) -> Self {
        self.with(|guard| guard.sleep = Arc::new(move |duration| Box::pin(sleep(duration))))
    }

    /// Sets the interval at which the live check is repeated for open responses. The default is 60 seconds. It has no
    /// effect without the live check.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LookInterval`] if it is shorter than one second.
    pub fn with_look_interval(self, interval: Duration) -> Result<Self, ConfigError> {
        if interval < Duration::from_secs(1) {
            return Err(ConfigError::LookInterval { found: interval });
        }
        Ok(self.with(|guard| guard.live.iter_mut().for_each(|live| live.interval = interval)))
    }

    /// Permits requests to upgrade their connection, for example to a WebSocket, or to open a tunnel with `CONNECT`.
    ///
    /// # Security
    ///
    /// This layer does not see such a connection any more. The application has to close it when [`TokenWatch::ended`]
    /// completes. Each request has a [`TokenWatch`] in its extensions.
    #[must_use]
    pub fn with_upgrades(self) -> Self {
        self.with(|guard| guard.upgrades = true)
    }

    /// Sets the key for the ids of MCP sessions, for processes that share sessions. Without it each process has its own
    /// random key and answers 404 to the session ids of the others.
    #[must_use]
    pub fn with_session_key(self, key: &MasterKey) -> Self {
        self.with(|guard| guard.session_ids = Arc::new(SessionIds::with_key(key)))
    }

    /// Returns the check with the settings of this layer, for frameworks that a tower layer does not fit.
    pub fn guard(&self) -> BearerGuard {
        BearerGuard::new(Arc::clone(&self.guard))
    }

    /// Creates a layer to place inside this one. It requires more scopes for calls of certain tools of an MCP server:
    /// pairs of a tool and its space-separated scopes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Scope`] if one of them is not a scope, [`ConfigError::ToolTwice`] if a tool is named twice.
    pub fn tools<'a>(
        &self,
        scopes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<ToolScopeLayer, ConfigError> {
        ToolScopeLayer::new(Arc::clone(&self.guard), scopes)
    }
}

impl fmt::Debug for BearerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Guard { live, resource, required, tls, cors, upgrades, .. } = &*self.guard;
        f.debug_struct("BearerLayer")
            .field("live", &live.as_ref().map(|live| live.interval))
            .field("resource", resource)
            .field("required", required)
            .field("tls", tls)
            .field("cors", cors)
            .field("upgrades", upgrades)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = Bearer<S>;

    fn layer(&self, inner: S) -> Bearer<S> {
        Bearer { inner, guard: Arc::clone(&self.guard) }
    }
}

/// A protected service; see [`BearerLayer`].
#[derive(Clone)]
pub struct Bearer<S> {
    inner: S,
    guard: Arc<Guard>,
}

impl<S: fmt::Debug> fmt::Debug for Bearer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for Bearer<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Body,
{
    type Response = Response<ProtectedBody<R>>;
    type Error = S::Error;
    type Future = BearerFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let cross_origin = self.guard.cross_origin(&parts.headers).map(|allowed| (allowed, self.guard.exposed.clone()));
        let state = match self.guard.admit_request(&parts) {
            Admission::Pass(claims) => {
                State::serve(&mut self.inner, &self.guard, claims, Request::from_parts(parts, body))
            }
            Admission::Refuse(reply) => State::refuse(reply, body),
            Admission::CheckStore(answer) => {
                // The service that is ready serves the request; its clone takes its place.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                let request = Request::from_parts(parts, body);
                State::CheckStore { answer, waiting: Some(Waiting { inner, request, guard: Arc::clone(&self.guard) }) }
            }
        };
        BearerFuture { state, cross_origin }
    }
}

struct Waiting<S, B> {
    inner: S,
    request: Request<B>,
    guard: Arc<Guard>,
}

pin_project! {
    /// The future of a protected service: its answer, or the refusal.
    #[must_use = "futures do nothing unless polled"]
    pub struct BearerFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
        // The CORS headers of the answer, and the headers that a page may read.
        cross_origin: Option<(CrossOrigin, HeaderValue)>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        // The rest of the request is read, because otherwise the connection would break, and with it the client's next
        // request on it.
        Refuse {
            reply: Reply,
            #[pin]
            body: B,
            left: usize,
        },
        CheckStore {
            answer: BoxFuture<'static, Result<AccessClaims, Box<Reply>>>,
            // Taken when there is an answer.
            waiting: Option<Waiting<S, B>>,
        },
        Serve {
            #[pin]
            response: S::Future,
            // Taken by the body of the response.
            following: Option<Following>,
            owner: SubjectAndClient,
            guard: Arc<Guard>,
        },
    }
}

impl<S: Service<Request<B>>, B> State<S, B> {
    fn refuse(reply: Reply, body: B) -> Self {
        Self::Refuse { reply, body, left: MAX_MESSAGE }
    }

    fn serve(inner: &mut S, guard: &Arc<Guard>, claims: AccessClaims, mut request: Request<B>) -> Self {
        if guard.session_ids.open(request.headers_mut(), &claims.names).is_err() {
            guard.report(Reason::WrongSession, Some(&claims));
            return Self::refuse(no_session(), request.into_body());
        }
        let (following, owner) = (Some(Following::new(guard, &claims)), claims.names.clone());
        // The token is removed: the service does not need it and must not pass it on (MCP authorization specification,
        // "Access Token Privilege Restriction").
        request.headers_mut().remove(AUTHORIZATION);
        if guard.upgrades {
            request.extensions_mut().insert(TokenWatch::new(guard, claims.clone()));
        } else {
            // A server may ignore `Upgrade` (RFC 9110 §7.8). Some clients send it with each request, for HTTP/2.
            request.headers_mut().remove(UPGRADE);
        }
        request.extensions_mut().insert(claims);
        Self::Serve { response: inner.call(request), following, owner, guard: Arc::clone(guard) }
    }
}

impl<S, B, R> Future for BearerFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Body,
{
    type Output = Result<Response<ProtectedBody<R>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = ready!(self.as_mut().poll_answer(cx));
        if let (Ok(answer), Some((allowed, exposed))) = (&mut answer, self.project().cross_origin) {
            allowed.apply(answer.headers_mut(), exposed);
        }
        Poll::Ready(answer)
    }
}

impl<S, B, R> BearerFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Body,
{
    fn poll_answer(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<<Self as Future>::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Serve { response, following, owner, guard } => {
                    let response = ready!(response.poll(cx));
                    let following = following.take();
                    return Poll::Ready(response.map(|mut response| match following {
                        Some(following) if response.status() != StatusCode::SWITCHING_PROTOCOLS || guard.upgrades => {
                            guard.session_ids.seal(response.headers_mut(), owner);
                            response.map(|body| ProtectedBody::follow(body, following))
                        }
                        _ => no_upgrade().map(ProtectedBody::refuse),
                    }));
                }
                StateProjection::Refuse { reply, body, left } => {
                    ready!(poll_discard(body, left, cx));
                    return Poll::Ready(Ok(std::mem::take(reply).map(ProtectedBody::refuse)));
                }
                StateProjection::CheckStore { answer, waiting } => {
                    let answer = ready!(answer.as_mut().poll(cx));
                    let Some(Waiting { mut inner, request, guard }) = waiting.take() else {
                        return Poll::Ready(Ok(Reply::default().map(ProtectedBody::refuse)));
                    };
                    match answer {
                        Ok(claims) => State::serve(&mut inner, &guard, claims, request),
                        Err(reply) => State::refuse(*reply, request.into_body()),
                    }
                }
            };
            state.set(next);
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for BearerFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerFuture").finish_non_exhaustive()
    }
}
