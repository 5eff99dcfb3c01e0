//! The check as a tower layer.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::guard::{Check, Guard, Look};
use super::tools::ToolScopeLayer;
use crate::claims::AccessClaims;
use crate::client::Binding;
use crate::error::Error;
use crate::grant::Scope;
use crate::http::body::{MAX_MESSAGE, ProtectedBody, poll_discard};
use crate::http::https::Https;
use crate::http::reply::Reply;
use crate::http::resource::{ProtectedResource, optional_scopes, union};
use crate::http::server::AuthorizationServer;
use crate::http::site_error::SiteError;
use crate::issuer::TokenIssuer;
use crate::store::{BoxFuture, TokenStore};
use crate::verifier::{AccessVerifier, VerifyError};

/// Protects a service: only requests with a good access token get through, without the token and with its
/// [`AccessClaims`] in their extensions.
///
/// | request | answer |
/// |---|---|
/// | without a token, or with another scheme | 401, and no `error` |
/// | with a token that is not one, not ours, expired, for another resource, or revoked | 401 `invalid_token` |
/// | without a scope that is needed | 403 `insufficient_scope`, with all that are |
/// | with two `Authorization` headers, or a token in the query | 400 `invalid_request` |
/// | over plain HTTP, as far as [`Https`] can tell | 400 |
/// | while the store does not answer (live check) | 503 with `Retry-After` |
///
/// Each of the first four has one `WWW-Authenticate` header that names the resource's metadata (RFC 9728 §5.1). The layer
/// belongs inside whatever answers CORS preflights, which carry no token. A refused message is read to its end, up to 4 MiB, or its
/// connection would be lost: the transport has to limit how slowly a message may come.
#[derive(Clone)]
pub struct BearerLayer {
    guard: Arc<Guard>,
}

impl<S: TokenStore + 'static> AuthorizationServer<S> {
    /// Protect the first resource of this server offline: no store is asked, and a revocation is not seen before the token
    /// expires.
    pub fn bearer(&self) -> BearerLayer {
        self.layer(Check::Offline(Arc::<TokenIssuer<S>>::clone(self.issuer())))
    }

    /// Protect the first resource of this server with the live check: one read of the store for every request.
    pub fn bearer_live(&self) -> BearerLayer {
        self.layer(Check::Live(Arc::<TokenIssuer<S>>::clone(self.issuer())))
    }

    fn layer(&self, check: Check) -> BearerLayer {
        let config = &self.config;
        let guard = Guard {
            check,
            resource: config.resources[0].clone(),
            required: Scope::default(),
            https: config.https,
            binding: config.binding.clone(),
            on_fault: config.on_fault.clone(),
        };
        BearerLayer { guard: Arc::new(guard) }
    }
}

impl BearerLayer {
    /// Protect `resource` offline, on a server that holds the access keys alone.
    pub fn offline(verifier: AccessVerifier, resource: ProtectedResource) -> Self {
        let guard = Guard {
            check: Check::Offline(Arc::new(verifier)),
            resource,
            required: Scope::default(),
            https: Https::default(),
            binding: None,
            on_fault: None,
        };
        Self { guard: Arc::new(guard) }
    }

    fn with(mut self, change: impl FnOnce(&mut Guard)) -> Self {
        change(Arc::make_mut(&mut self.guard));
        self
    }

    /// For another resource of the same server.
    #[must_use]
    pub fn for_resource(self, resource: ProtectedResource) -> Self {
        self.with(|guard| guard.resource = resource)
    }

    /// With these space-separated scopes needed for every request, besides those that are already.
    ///
    /// # Errors
    ///
    /// [`SiteError::Scope`].
    pub fn require_scope(self, scope: &str) -> Result<Self, SiteError> {
        let more = optional_scopes(|| "a required scope".to_owned(), scope)?;
        Ok(self.with(|guard| guard.required = union(&guard.required, &more)))
    }

    /// With another proof of TLS than a [`Connection`](crate::http::Connection) in each request.
    #[must_use]
    pub fn with_https(self, https: Https) -> Self {
        self.with(|guard| guard.https = https)
    }

    /// With what a request proves to be bound to.
    #[must_use]
    pub fn with_binding(self, read: impl Fn(&Parts) -> Option<Binding> + Send + Sync + 'static) -> Self {
        self.with(|guard| guard.binding = Some(Arc::new(read)))
    }

    /// A layer for the inside of this one, which asks for more scopes where certain tools of an MCP server are called.
    ///
    /// # Errors
    ///
    /// [`SiteError::Scope`], [`SiteError::ToolTwice`].
    pub fn tools<'a>(&self, scopes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<ToolScopeLayer, SiteError> {
        ToolScopeLayer::new(Arc::clone(&self.guard), scopes)
    }
}

impl fmt::Debug for BearerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Guard { check, resource, required, https, binding: _, on_fault: _ } = &*self.guard;
        f.debug_struct("BearerLayer")
            .field("live", &matches!(check, Check::Live(_)))
            .field("resource", resource)
            .field("required", required)
            .field("https", https)
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
        let state = match self.guard.look(&parts) {
            Look::Pass(claims) => State::serve(&mut self.inner, claims, Request::from_parts(parts, body)),
            Look::Refuse(reply) => State::refuse(reply, body),
            Look::Ask(answer) => {
                // The one that was found ready serves the request; its clone takes the place.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                let request = Request::from_parts(parts, body);
                State::Ask { answer, waiting: Some(Waiting { inner, request, guard: Arc::clone(&self.guard) }) }
            }
        };
        BearerFuture { state }
    }
}

struct Waiting<S, B> {
    inner: S,
    request: Request<B>,
    guard: Arc<Guard>,
}

pin_project! {
    /// The answer of a protected service, or the refusal.
    #[must_use = "futures do nothing unless polled"]
    pub struct BearerFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        // What is not read of a request breaks the connection, and with it the next request of a client that kept it.
        Refuse {
            reply: Reply,
            #[pin]
            body: B,
            left: usize,
        },
        Ask {
            answer: BoxFuture<'static, Result<Result<AccessClaims, VerifyError>, Error>>,
            // Taken once there is an answer.
            waiting: Option<Waiting<S, B>>,
        },
        Serve {
            #[pin]
            response: S::Future,
        },
    }
}

impl<S: Service<Request<B>>, B> State<S, B> {
    fn refuse(reply: Reply, body: B) -> Self {
        Self::Refuse { reply, body, left: MAX_MESSAGE }
    }

    fn serve(inner: &mut S, claims: AccessClaims, mut request: Request<B>) -> Self {
        // The token stays here: whatever is behind the check has no use for it, and must not pass it on (MCP authorization
        // specification, "Access Token Privilege Restriction").
        request.headers_mut().remove(AUTHORIZATION);
        request.extensions_mut().insert(claims);
        Self::Serve { response: inner.call(request) }
    }
}

impl<S, B, R> Future for BearerFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Body,
{
    type Output = Result<Response<ProtectedBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Serve { response } => {
                    return response.poll(cx).map(|done| done.map(|response| response.map(ProtectedBody::serve)));
                }
                StateProjection::Refuse { reply, body, left } => {
                    ready!(poll_discard(body, left, cx));
                    return Poll::Ready(Ok(std::mem::take(reply).map(ProtectedBody::refuse)));
                }
                StateProjection::Ask { answer, waiting } => {
                    let answer = ready!(answer.as_mut().poll(cx));
                    let Some(Waiting { mut inner, request, guard }) = waiting.take() else {
                        return Poll::Ready(Ok(Reply::default().map(ProtectedBody::refuse)));
                    };
                    match guard.judge(answer) {
                        Ok(claims) => State::serve(&mut inner, claims, request),
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
