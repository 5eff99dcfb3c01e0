//! Measures the cost of the protection: the bearer layer alone, and a complete MCP server over HTTP.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use futures_executor::block_on;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mcp_token_lifecycle::http::{
    AuthorizationRequest, AuthorizationServer, BearerLayer, Consent, ConsentDecision, MemoryClients, ProtectedResource,
    ResponseBody, TlsPolicy,
};
use mcp_token_lifecycle::{
    AccessClaims, AccessVerifier, BoxFuture, Clock, Expectation, Grant, MemoryStore, Resource, Scope, SystemClock,
    TokenIssuer,
};
use rmcp::handler::server::tool::Extension;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use rmcp::{tool, tool_router};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, Service, service_fn};

use crate::fixture::{AUDIENCE, CLIENT, SUBJECT, grant, keyring};
use crate::measure::{Race, median};
use crate::table::{Table, Target};

pub fn run(table: &mut Table, quick: bool) {
    layer(table, if quick { 300 } else { 2000 });
    whole_server(table, if quick { 10 } else { 60 });
}

/// Compares one request through the layer with one without it. Each iteration builds a new request.
fn layer(table: &mut Table, rounds: usize) {
    let issuer = TokenIssuer::new(MemoryStore::new(), keyring());
    let token = block_on(issuer.issue(grant(1), None)).unwrap().access_token;
    let value = format!("Bearer {}", token.expose());
    let request = || {
        let request = Request::get("http://localhost/mcp").header("authorization", black_box(&value));
        request.body(ResponseBody::default()).unwrap()
    };
    let mut bare = service_fn(|request: Request<ResponseBody>| {
        black_box(request.extensions().get::<AccessClaims>().is_some());
        std::future::ready(Ok::<_, Infallible>(Response::new(ResponseBody::default())))
    });
    let resource = ProtectedResource::new(AUDIENCE, "mcp:read").unwrap();
    let layer = BearerLayer::offline(AccessVerifier::from(&keyring()), resource).with_tls(TlsPolicy::Loopback);
    let mut protected = layer.require_scope("mcp:read").unwrap().layer(bare);
    let (here, read) = (Resource::parse(AUDIENCE).unwrap(), Scope::parse("mcp:read").unwrap());
    let expect = Expectation::resource(&here).scope(&read);

    let mut race = Race::default();
    race.add("bare", || block_on(bare.call(request())).unwrap().status());
    race.add("protected", || {
        let status = block_on(protected.call(request())).unwrap().status();
        assert_eq!(status, 200);
    });
    race.add("verify", || issuer.verifier().verify(token.expose(), &expect, SystemClock.now()).unwrap());
    let times = race.run(rounds, Duration::from_micros(200));
    let cost = times.nanos("protected") - times.nanos("bare");
    let case = "what the bearer layer adds to a request ÷ `verify`";
    table.ratio(case, format!("{cost:.0} ns"), cost / times.nanos("verify"), Target::AtMost(1.3));
}

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
impl Tools {
    #[tool(description = "Returns the logged-in user")]
    async fn whoami(&self, Extension(parts): Extension<axum::http::request::Parts>) -> String {
        parts.extensions.get().map_or("unknown", AccessClaims::subject).to_owned()
    }
}

const CONNECTIONS: usize = 16;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}"#;

/// Compares the tool calls per second with and without protection, in turns on the same runtime.
fn whole_server(table: &mut Table, rounds: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let issuer = Arc::new(TokenIssuer::new(MemoryStore::new(), keyring()));
        let uri = format!("http://{host}/protected");
        let resource = ProtectedResource::new(&uri, "mcp:use").unwrap();
        let grant = Grant::new(SUBJECT, CLIENT, Scope::parse("mcp:use").unwrap(), Resource::parse(&uri).unwrap());
        let token = issuer.issue(grant.unwrap(), None).await.unwrap().access_token.expose().to_owned();
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
        let mcp = StreamableHttpService::new(|| Ok(Tools), Arc::new(NeverSessionManager::default()), config);
        let server =
            AuthorizationServer::new(&format!("http://{host}"), issuer, resource, MemoryClients::new(), AlwaysDeny);
        let server = server.unwrap().with_tls(TlsPolicy::Loopback);
        let router = Router::new()
            .route_service("/bare", mcp.clone())
            .route_service("/offline", server.bearer().require_scope("mcp:use").unwrap().layer(mcp.clone()))
            .route_service("/live", server.bearer_live().require_scope("mcp:use").unwrap().layer(mcp));
        tokio::spawn(async move { axum::serve(listener, router).await });

        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(&host).await.unwrap();
            let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            connections.push(sender);
        }
        let mut rates = [const { Vec::new() }; 3];
        for round in 0..rounds + 2 {
            for (path, rates) in ["/bare", "/offline", "/live"].iter().zip(&mut rates) {
                let begun = Instant::now();
                let calls = 50;
                join_all(connections.iter_mut().map(|sender| call(sender, &host, path, &token, calls))).await;
                if round > 1 {
                    rates.push((CONNECTIONS * calls) as f64 / begun.elapsed().as_secs_f64());
                }
            }
        }
        let [bare, offline, live] = rates;
        let ratio = |rates: &[f64]| median(rates.iter().zip(&bare).map(|(rate, bare)| rate / bare).collect());
        let shown = |rates: &[f64]| format!("{:.0} calls/s", median(rates.to_vec()));
        table.figure("an MCP server with rmcp and axum, 16 connections, unprotected", shown(&bare));
        table.ratio("the same behind the offline check ÷ unprotected", shown(&offline), ratio(&offline), Target::None);
        table.ratio("the same behind the live check ÷ unprotected", shown(&live), ratio(&live), Target::None);
    });
}

async fn call(sender: &mut SendRequest<Full<Bytes>>, host: &str, path: &str, token: &str, calls: usize) {
    for _ in 0..calls {
        let request = Request::post(path)
            .header("host", host)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        sender.ready().await.unwrap();
        let response = sender.send_request(request.body(Full::from(CALL)).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status == 200 && !body.is_empty(), "{status} {body:?}");
    }
}

/// Denies each request. The benchmark issues its token directly.
struct AlwaysDeny;

impl Consent for AlwaysDeny {
    fn decide<'a>(
        &'a self,
        _: &'a AuthorizationRequest,
        _: &'a axum::http::request::Parts,
        _: &'a [u8],
    ) -> BoxFuture<'a, ConsentDecision> {
        Box::pin(async { ConsentDecision::Deny })
    }
}
