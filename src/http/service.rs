//! A server of this crate as a tower service.

use super::server::AuthorizationServer;

/// Defines `$service`, a tower service around `$server` that answers each request with its method `respond`.
macro_rules! tower_service {
    ($(#[$doc:meta])* $service:ident($server:ident)) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $service<S>($server<S>);

        impl<S> Clone for $service<S> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<S> $server<S> {
            /// Returns this server as a tower service.
            pub fn service(&self) -> $service<S> {
                $service(self.clone())
            }
        }

        impl<S, B> tower_service::Service<http::Request<B>> for $service<S>
        where
            S: $crate::store::TokenStore + 'static,
            B: http_body::Body<Data: Send> + Send + 'static,
        {
            type Response = $crate::http::wire::reply::Reply;
            type Error = std::convert::Infallible;
            type Future = $crate::store::BoxFuture<'static, Result<Self::Response, Self::Error>>;

            fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<B>) -> Self::Future {
                let server = self.0.clone();
                Box::pin(async move {
                    let (parts, body) = request.into_parts();
                    let body = $crate::http::wire::body::read(body, $crate::http::server::MAX_BODY).await;
                    Ok(server.respond(&parts, body.as_deref().map_err(|unread| (*unread).into())).await)
                })
            }
        }
    };
}

pub(super) use tower_service;

tower_service! {
    /// A tower service that answers each request with [`AuthorizationServer::handle`]. Mount it where it sees the complete
    /// path, such as the fallback of a router.
    AuthorizationService(AuthorizationServer)
}
