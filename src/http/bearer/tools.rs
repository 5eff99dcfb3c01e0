//! Requires more scopes for calls of certain tools: the step-up of the MCP authorization specification ("Scope
//! Challenge Handling").

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::calls::{Unclear, each_call};
use super::guard::Guard;
use super::protected::ProtectedBody;
use crate::audit::Reason;
use crate::grant::{AccessClaims, Scope};
use crate::http::config_error::ConfigError;
use crate::http::resource::{optional_scopes, union};
use crate::http::wire::body::{MAX_MESSAGE, ResponseBody, Unreadable, read};
use crate::http::wire::reply::{Refusal, Reply};
use crate::shown::shown;
use crate::store::BoxFuture;
use crate::verifier::VerifyError;

/// Requires more scopes for calls of certain tools. [`BearerLayer::tools`](super::BearerLayer::tools) creates it. Place
/// it inside that layer.
///
/// Each request body is read up to a limit (4 MiB; above it the answer is 413) and parsed as a JSON-RPC message or a
/// batch of at most 128. A message that another parser could understand differently is refused with 400: a repeated
/// member, a member in other capitals, a value nested deeper than 128 levels.
///
/// A tool that is not named here requires no more than the outer layer does, unless
/// [`with_unlisted_refused`](Self::with_unlisted_refused) is set.
///
/// # Cost
///
/// The body is parsed in one additional pass, which copies nothing and takes a few milliseconds for each MiB. A body in
/// one piece is passed on as it is. A body of known length takes its length in memory, any other at most twice its
/// length and 64 KiB.
#[derive(Clone)]
pub struct ToolScopeLayer {
    tools: Arc<Tools>,
}

#[derive(Clone)]
struct Tools {
    guard: Arc<Guard>,
    scopes: HashMap<String, Scope>,
    refuses_unlisted: bool,
    limit: usize,
}

impl ToolScopeLayer {
    pub(super) fn new<'a>(
        guard: Arc<Guard>,
        scopes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigError> {
        let mut tools = HashMap::new();
        for (tool, scope) in scopes {
            let more = optional_scopes(|| format!("the scope of tool {}", shown(tool)), scope)?;
            // The challenge names all scopes that the call requires, including those of the outer layer.
            if tools.insert(tool.to_owned(), union(&guard.required, &more)).is_some() {
                return Err(ConfigError::ToolTwice { tool: shown(tool) });
            }
        }
        Ok(Self { tools: Arc::new(Tools { guard, scopes: tools, refuses_unlisted: false, limit: MAX_MESSAGE }) })
    }

    fn with(mut self, change: impl FnOnce(&mut Tools)) -> Self {
        change(Arc::make_mut(&mut self.tools));
        self
    }

    /// Sets the largest body, in bytes. The default is 4 MiB, which is the limit of the TypeScript SDK for MCP.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        self.with(|tools| tools.limit = limit)
    }

    /// Refuses calls of tools that are not named here, with 403 and no challenge, because no scope would help (least
    /// privilege). Name a tool that requires no additional scope with the empty scope.
    #[must_use]
    pub fn with_unlisted_refused(self) -> Self {
        self.with(|tools| tools.refuses_unlisted = true)
    }
}

impl ToolScopeLayer {
    /// Checks whether a request whose token has `claims` may send `body`, the whole body of a request to the MCP server.
    ///
    /// This is the check of the layer for frameworks that a tower layer does not fit; see
    /// [`BearerGuard`](super::BearerGuard). The refusals have no CORS headers: the adapter adds them for browser clients.
    ///
    /// # Errors
    ///
    /// The response to send in place of the service's: 400 for a message that is not understood, 401 if the token has expired
    /// meanwhile, 403 for a tool whose scope is missing, 413 for a body beyond the limit.
    // The response is made to be sent at once.
    #[allow(clippy::result_large_err)]
    pub fn check(&self, claims: &AccessClaims, body: &[u8]) -> Result<(), Response<ResponseBody>> {
        let is_too_long = body.len() > self.tools.limit;
        let length = if is_too_long { Err(self.tools.unread(Unreadable::TooLong, Some(claims))) } else { Ok(()) };
        length.and_then(|()| self.tools.check_body(Some(claims), body)).map_err(|reply| *reply)
    }
}

impl fmt::Debug for ToolScopeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolScopeLayer").field("scopes", &self.tools.scopes).finish_non_exhaustive()
    }
}

impl From<Unclear> for Box<Reply> {
    fn from(unclear: Unclear) -> Self {
        let description = match unclear {
            Unclear::Message => {
                "the body must be JSON-RPC with each member once, in its exact spelling, and at most 128 levels deep"
            }
            Unclear::Batch => "a batch must have at most 128 messages",
        };
        Box::new(Refusal::Status(StatusCode::BAD_REQUEST, description).into_reply())
    }
}

impl Tools {
    /// Checks whether a request with `claims` may send `body`.
    fn check(&self, claims: Option<&AccessClaims>, body: &[u8]) -> Result<(), Box<Reply>> {
        let (mut needed, mut is_unlisted) = (BTreeSet::new(), false);
        each_call(body, |tool| match self.scopes.get(tool) {
            Some(scope) => needed.extend(scope.iter()),
            None => is_unlisted = true,
        })?;
        let claims = claims.ok_or_else(|| Box::new(self.guard.refuse(VerifyError::Invalid, None)))?;
        if is_unlisted && self.refuses_unlisted {
            self.guard.report(Reason::NotAllowed, Some(claims));
            return Err(Box::new(
                Refusal::Forbidden("the request calls a tool that this server does not permit").into_reply(),
            ));
        }
        let needed = Scope::from_canonical(&needed.into_iter().collect::<Vec<_>>().join(" "));
        if self.guard.resource.allows(claims.scope(), &needed) {
            return Ok(());
        }
        Err(Box::new(self.guard.insufficient(claims, &needed)))
    }
}

impl<S> Layer<S> for ToolScopeLayer {
    type Service = ToolScopes<S>;

    fn layer(&self, inner: S) -> ToolScopes<S> {
        ToolScopes { inner, tools: Arc::clone(&self.tools) }
    }
}

/// A service with tools that require more scopes; see [`ToolScopeLayer`].
#[derive(Clone)]
pub struct ToolScopes<S> {
    inner: S,
    tools: Arc<Tools>,
}

impl<S: fmt::Debug> fmt::Debug for ToolScopes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolScopes").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for ToolScopes<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send> + From<Bytes> + Send + 'static,
{
    type Response = Response<ProtectedBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that is ready serves the request; its clone takes its place.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let tools = Arc::clone(&self.tools);
        Box::pin(async move {
            let request = match tools.admit(request).await {
                Ok(request) => request,
                Err(reply) => return Ok(reply.map(ProtectedBody::refuse)),
            };
            Ok(inner.call(request).await?.map(ProtectedBody::serve))
        })
    }
}

impl Tools {
    async fn admit<B: Body + From<Bytes>>(&self, request: Request<B>) -> Result<Request<B>, Box<Reply>> {
        let (parts, body) = request.into_parts();
        let claims = parts.extensions.get::<AccessClaims>();
        let body = read(body, self.limit).await.map_err(|unread| self.unread(unread, claims))?;
        self.check_body(claims, &body)?;
        Ok(Request::from_parts(parts, B::from(body)))
    }

    fn check_body(&self, claims: Option<&AccessClaims>, body: &[u8]) -> Result<(), Box<Reply>> {
        // Checked again: the token was good when the message began to arrive.
        if let Some(claims) = claims.filter(|claims| self.guard.clock.now() >= claims.expires_at()) {
            return Err(Box::new(self.guard.refuse(VerifyError::Expired, Some(claims))));
        }
        // A stream is opened and a session is ended without a body. A request with a body may be a call, with any method.
        if body.is_empty() {
            return Ok(());
        }
        self.check(claims, body).inspect_err(|reply| {
            // The guard reports its own refusals.
            if reply.status() == StatusCode::BAD_REQUEST {
                self.guard.report(Reason::BadRequest, claims);
            }
        })
    }

    fn unread(&self, unread: Unreadable, claims: Option<&AccessClaims>) -> Box<Reply> {
        let reply = Refusal::from(unread).into_reply();
        if matches!(reply.status(), StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE) {
            self.guard.report(Reason::BadRequest, claims);
        }
        Box::new(reply)
    }
}
