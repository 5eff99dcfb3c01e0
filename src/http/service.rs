//! The authorization server as a tower service.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::Request;
use http_body::Body;
use tower_service::Service;

use super::server::{AuthorizationServer, MAX_BODY};
use super::wire::body::read;
use super::wire::reply::Reply;
use crate::store::{BoxFuture, TokenStore};

/// A tower service that answers each request with [`AuthorizationServer::handle`]. Mount it where it sees the complete
/// path, such as the fallback of a router.
#[derive(Debug)]
pub struct AuthorizationService<S>(AuthorizationServer<S>);

impl<S> Clone for AuthorizationService<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> AuthorizationServer<S> {
    /// Returns this server as a tower service.
    pub fn service(&self) -> AuthorizationService<S> {
        AuthorizationService(self.clone())
    }
}

impl<S, B> Service<Request<B>> for AuthorizationService<S>
where
    S: TokenStore + 'static,
    B: Body<Data: Send> + Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = read(body, MAX_BODY).await;
            Ok(server.respond(&parts, body.as_deref().map_err(|unread| (*unread).into())).await)
        })
    }
}
