//! Shows an authorization server and a protected route on hyper, without a web framework.
//!
//! Run it with `cargo run -p hyper_server [-- --demo | PORT]`.
//!
//! The server prints its URL and runs until it is stopped. With `--demo` it requests its own metadata and the protected route,
//! prints both responses (200, then 401 with a challenge), and exits.
//!
//! A transport without the body types of `http_body` can call `AuthorizationServer::handle` with the head and the bytes of a
//! request. `examples/actix_server` does so.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use http::request::Parts;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{AccessClaims, BoxFuture, KeyId, Keyring, MasterKey, MemoryStore, TokenIssuer};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Approves each request as `user-1`. A real server shows a login page and a consent page here.
struct AlwaysApprove;

impl Consent for AlwaysApprove {
    fn decide<'a>(&'a self, _: &'a AuthorizationRequest, _: &'a Parts, _: &'a [u8]) -> BoxFuture<'a, ConsentDecision> {
        Box::pin(async { ConsentDecision::Approve(Approval::new("user-1")) })
    }
}

/// The two services of this server: the authorization server and the protection of `/hello`.
#[derive(Clone)]
struct Site {
    oauth: AuthorizationService<MemoryStore>,
    bearer: BearerLayer,
}

impl Site {
    fn new(url: &str) -> Result<Self> {
        let keyring = Keyring::new(KeyId::new(1), MasterKey::generate()?);
        let issuer = Arc::new(TokenIssuer::new(MemoryStore::new(), keyring));
        let resource = ProtectedResource::new(&format!("{url}/hello"), "hello:say")?;
        let server = AuthorizationServer::new(url, issuer, resource, MemoryClients::new(), AlwaysApprove)?
            .with_registration(|_, _| true);
        Ok(Self { oauth: server.service(), bearer: server.bearer_live().require_scope("hello:say")? })
    }

    /// Routes `/hello` to the protected handler and each other path to the authorization server.
    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
        if request.uri().path() == "/hello" {
            let protected = self.bearer.layer(tower::service_fn(hello));
            return Ok(protected.oneshot(request).await?.map(BodyExt::boxed));
        }
        Ok(self.oauth.oneshot(request).await?.map(BodyExt::boxed))
    }
}

async fn hello(request: Request<Incoming>) -> std::result::Result<Response<ResponseBody>, Infallible> {
    let user = request.extensions().get::<AccessClaims>().map_or("unknown user", AccessClaims::subject);
    Ok(Response::new(ResponseBody::from(format!("Hello, {user}!\n"))))
}

async fn serve(listener: TcpListener, site: Site) -> Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        let site = site.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            // The server must know the peer: it accepts tokens over plain HTTP only from this machine.
            request.extensions_mut().insert(Connection::plain(peer));
            site.clone().answer(request)
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arg = std::env::args().nth(1).unwrap_or_default();
    let listener = TcpListener::bind(("127.0.0.1", arg.parse().unwrap_or(0))).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("The server listens on {url}");
    let serving = tokio::spawn(serve(listener, Site::new(&url)?));
    if arg == "--demo" { demo(&url).await } else { serving.await? }
}

async fn demo(url: &str) -> Result<()> {
    let metadata = reqwest::get(format!("{url}/.well-known/oauth-authorization-server")).await?;
    println!("The metadata request got: {} {}", metadata.status(), metadata.text().await?);
    let refused = reqwest::get(format!("{url}/hello")).await?;
    let challenge = refused.headers().get("www-authenticate").ok_or("there is no challenge")?;
    println!("A request for /hello without a token got: {} {challenge:?}", refused.status());
    if refused.status() == StatusCode::UNAUTHORIZED {
        Ok(())
    } else {
        Err("the server accepted a request without a token".into())
    }
}
