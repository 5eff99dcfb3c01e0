//! More scopes where a certain tool is called: the step-up of the MCP authorization specification ("Scope Challenge Handling").

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tower_layer::Layer;
use tower_service::Service;

use super::guard::Guard;
use super::protected::ProtectedBody;
use crate::audit::Reason;
use crate::claims::AccessClaims;
use crate::grant::{GrantError, Scope};
use crate::http::body::{MAX_MESSAGE, read};
use crate::http::reply::{Refusal, Reply};
use crate::store::BoxFuture;
use crate::verifier::VerifyError;

/// Asks for more scopes where certain tools are called; made by [`BearerLayer::tools`](super::BearerLayer::tools), and to be put inside that layer.
///
/// Each request body is read up to a limit (4 MiB; beyond it the answer is 413) and looked at as a JSON-RPC message or a batch
/// of them. What cannot be told for certain is refused with 400, so that nothing gets past that the service behind would read
/// in another way. A tool that is not named here needs no more than the layer outside asks for.
#[derive(Clone)]
pub struct ToolScopeLayer {
    tools: Arc<Tools>,
}

struct Tools {
    guard: Arc<Guard>,
    scopes: HashMap<String, Scope>,
    limit: usize,
}

impl ToolScopeLayer {
    pub(super) fn new<'a>(
        guard: Arc<Guard>,
        scopes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, GrantError> {
        // The challenge names all that the call needs, what the layer outside asks for included.
        let needed = |scope: &str| Scope::parse(&format!("{} {scope}", guard.required));
        let scopes = scopes.into_iter().map(|(tool, scope)| Ok((tool.to_owned(), needed(scope)?)));
        let scopes = scopes.collect::<Result<_, GrantError>>()?;
        Ok(Self { tools: Arc::new(Tools { guard, scopes, limit: MAX_MESSAGE }) })
    }

    /// With another limit, in bytes.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        let Tools { guard, scopes, .. } = &*self.tools;
        Self { tools: Arc::new(Tools { guard: Arc::clone(guard), scopes: scopes.clone(), limit }) }
    }
}

impl fmt::Debug for ToolScopeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolScopeLayer").field("scopes", &self.tools.scopes).finish_non_exhaustive()
    }
}

/// What of a message says which tool it calls. Because of `flatten` it is read from an object alone, never from an array, and
/// from one that has none of these members twice.
#[derive(Deserialize)]
struct Message {
    method: Option<String>,
    params: Option<Params>,
    #[serde(flatten)]
    others: HashMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Params {
    Call(Call),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Call {
    name: String,
    #[serde(flatten)]
    others: HashMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Messages {
    One(Message),
    Batch(Vec<Message>),
}

/// Whether a reader who does not tell capitals from small letters would find one of `names` among `others`.
fn has_twin(others: &HashMap<String, IgnoredAny>, names: &[&str]) -> bool {
    others.keys().any(|other| names.contains(&other.to_uppercase().as_str()))
}

impl Message {
    /// The tool that it calls, if it calls one.
    fn tool(&self) -> Result<Option<&str>, Unclear> {
        if has_twin(&self.others, &["METHOD", "PARAMS"]) {
            return Err(Unclear);
        }
        match (self.method.as_deref(), &self.params) {
            (Some("tools/call"), Some(Params::Call(call))) if !has_twin(&call.others, &["NAME"]) => {
                Ok(Some(&call.name))
            }
            (Some("tools/call"), _) => Err(Unclear),
            _ => Ok(None),
        }
    }
}

/// The service behind may read the message in another way.
struct Unclear;

impl From<Unclear> for Box<Reply> {
    fn from(_: Unclear) -> Self {
        Box::new(Refusal::Status(StatusCode::BAD_REQUEST, "the message is not understood").into_reply())
    }
}

impl Tools {
    /// Whether whoever has `claims` may send `body`.
    fn check(&self, claims: Option<&AccessClaims>, body: &[u8]) -> Result<(), Box<Reply>> {
        let messages = match serde_json::from_slice(body).map_err(|_| Unclear)? {
            Messages::One(message) => vec![message],
            Messages::Batch(messages) => messages,
        };
        let mut needed = Vec::new();
        for message in &messages {
            let scope = message.tool()?.and_then(|tool| self.scopes.get(tool));
            needed.extend(scope.into_iter().flat_map(Scope::iter));
        }
        let claims = claims.ok_or_else(|| Box::new(self.guard.refuse(VerifyError::Invalid, None)))?;
        let needed = Scope::parse(&needed.join(" ")).map_err(|_| Unclear)?;
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

/// A service with tools that need more scopes; see [`ToolScopeLayer`].
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
        // The one that was found ready serves the request; its clone takes the place.
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
        let unread = |unread| Box::new(Refusal::from(unread).into_reply());
        // What the guard answers it reports itself.
        let report = |reply: Box<Reply>| {
            if matches!(reply.status(), StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE) {
                self.guard.report(Reason::BadRequest, claims);
            }
            reply
        };
        let body = read(body, self.limit).await.map_err(unread).map_err(report)?;
        // The token was good when the message began to come.
        if let Some(claims) = claims.filter(|claims| self.guard.clock.now() >= claims.expires_at()) {
            return Err(Box::new(self.guard.refuse(VerifyError::Expired, Some(claims))));
        }
        // A stream is opened and a session ended without a body; whatever has one may be a call, by any method.
        if !body.is_empty() {
            self.check(claims, &body).map_err(report)?;
        }
        Ok(Request::from_parts(parts, B::from(Bytes::from(body))))
    }
}
