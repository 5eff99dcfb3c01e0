//! The connect server as a tower service.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::Request;
use http_body::Body;
use tower_service::Service;

use super::server::ConnectServer;
use crate::http::server::MAX_BODY;
use crate::http::wire::body::read;
use crate::http::wire::reply::Reply;
use crate::store::{BoxFuture, TokenStore};

/// A tower service that answers each request with [`ConnectServer::handle`]. Mount it where it sees the complete path.
#[derive(Debug)]
pub struct ConnectService<S>(ConnectServer<S>);

impl<S> Clone for ConnectService<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> ConnectServer<S> {
    /// Returns this server as a tower service.
    pub fn service(&self) -> ConnectService<S> {
        ConnectService(self.clone())
    }
}

impl<S, B> Service<Request<B>> for ConnectService<S>
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
            // No endpoint reads a body. It is read so that the connection can be used again.
            let body = read(body, MAX_BODY).await;
            Ok(server.respond(&parts, body.err().map(Into::into)).await)
        })
    }
}
