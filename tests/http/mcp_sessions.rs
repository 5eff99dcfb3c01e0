//! MCP sessions belong to the subject and the client who opened them: rmcp's own session manager behind the layer.

use std::sync::Arc;

use axum::Router;
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{AccessVerifier, Action, Grant, MasterKey, Reason, Resource, Scope};
use reqwest::{Client, RequestBuilder, Response};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::Layer;

use crate::site::*;
use crate::support::keyring;

#[derive(Clone)]
struct Nothing;

impl ServerHandler for Nothing {}

/// An MCP server with sessions.
struct Mcp {
    url: String,
    sessions: Arc<LocalSessionManager>,
}

impl Mcp {
    async fn start(layer: &BearerLayer, sessions: Arc<LocalSessionManager>) -> Self {
        let config = StreamableHttpServerConfig::default().with_sse_retry(None);
        let mcp = StreamableHttpService::new(|| Ok(Nothing), Arc::clone(&sessions), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new().route_service("/mcp", layer.layer(mcp));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, sessions }
    }

    fn request(&self, request: RequestBuilder, token: &str, session: Option<&str>) -> RequestBuilder {
        let request = request.bearer_auth(token).header("accept", "application/json, text/event-stream");
        session.into_iter().fold(request, |request, session| request.header("mcp-session-id", session))
    }

    async fn post(&self, token: &str, session: Option<&str>, message: Value) -> Response {
        self.request(Client::new().post(&self.url), token, session).json(&message).send().await.unwrap()
    }

    /// Open a session; its id as the client gets it.
    async fn open(&self, token: &str) -> String {
        let params = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let answer = self.post(token, None, message).await;
        assert_eq!(answer.status(), 200);
        let session = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.post(token, Some(&session), ready).await.status(), 202);
        session
    }

    async fn ping(&self, token: &str, session: &str) -> u16 {
        let message = json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" });
        self.post(token, Some(session), message).await.status().as_u16()
    }
}

async fn token(site: &Site, subject: &str, client: &str) -> String {
    let resource = Resource::parse(&format!("{}/mcp", site.origin)).unwrap();
    let grant = Grant::new(subject, client, Scope::parse("notes:read").unwrap(), resource).unwrap();
    site.server.issuer().issue(grant, None).await.unwrap().access_token.expose().to_owned()
}

#[tokio::test]
async fn session_of_another_subject_or_client_does_not_exist() {
    let site = Site::open().await;
    let mcp = Mcp::start(&site.server.bearer_live(), Arc::default()).await;
    let alice = token(&site, "alice", CLIENT).await;
    let session = mcp.open(&alice).await;
    assert_eq!(mcp.ping(&alice, &session).await, 200);
    let again = token(&site, "alice", CLIENT).await;
    assert_eq!(mcp.ping(&again, &session).await, 200, "after a refresh or another login");
    for (subject, client) in [("bob", CLIENT), ("alice", WEB_CLIENT), ("alic", &format!("e{CLIENT}"))] {
        let other = token(&site, subject, client).await;
        site.audit.take();
        assert_eq!(mcp.ping(&other, &session).await, 404, "{subject} {client}");
        let deleted = mcp.request(Client::new().delete(&mcp.url), &other, Some(&session)).send().await.unwrap();
        let listened = mcp.request(Client::new().get(&mcp.url), &other, Some(&session)).send().await.unwrap();
        assert_eq!((deleted.status().as_u16(), listened.status().as_u16()), (404, 404));
        let events = site.audit.take();
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|event| event.subject.as_deref() == Some(subject)
            && (event.action, event.reason) == (Action::Deny, Some(Reason::WrongSession))));
    }
    assert_eq!(mcp.ping(&alice, &session).await, 200, "it was not ended");
    let deleted = mcp.request(Client::new().delete(&mcp.url), &alice, Some(&session)).send().await.unwrap();
    assert!(deleted.status().is_success());
    assert_eq!(mcp.ping(&alice, &session).await, 404);
}

#[tokio::test]
async fn session_id_without_its_tag_does_not_exist() {
    let site = Site::open().await;
    let mcp = Mcp::start(&site.server.bearer(), Arc::default()).await;
    let alice = token(&site, "alice", CLIENT).await;
    let session = mcp.open(&alice).await;
    let (id, tag) = session.rsplit_once('.').unwrap();
    assert!(mcp.sessions.sessions.read().await.contains_key(id), "the service has its own id");
    let other = mcp.open(&alice).await;
    let other_tag = other.rsplit_once('.').unwrap().1;
    for wrong in
        ["", id, ".", &format!("{id}."), &format!("{id}.{other_tag}"), &format!("{id}.{tag}A"), &format!("x{session}")]
    {
        assert_eq!(mcp.ping(&alice, wrong).await, 404, "{wrong}");
    }
    let twice = mcp.request(Client::new().post(&mcp.url), &alice, Some(&session)).header("mcp-session-id", &session);
    assert_eq!(twice.json(&json!({})).send().await.unwrap().status(), 404);
    assert_eq!(mcp.ping(&alice, &session).await, 200);
}

#[tokio::test]
async fn session_id_of_another_process_needs_the_same_key() {
    let site = Site::open().await;
    site.clock.set(mcp_token_lifecycle::Clock::now(&mcp_token_lifecycle::SystemClock));
    let alice = token(&site, "alice", CLIENT).await;
    let layer = || {
        let resource = ProtectedResource::new(&format!("{}/mcp", site.origin), "notes:read").unwrap();
        BearerLayer::offline(AccessVerifier::new(keyring().access_keys()), resource).with_tls(TlsPolicy::Loopback)
    };
    let (key, sessions) = (MasterKey::from_bytes([3; 32]), Arc::<LocalSessionManager>::default());
    let first = Mcp::start(&layer().with_session_key(&key), Arc::clone(&sessions)).await;
    let second = Mcp::start(&layer().with_session_key(&key), Arc::clone(&sessions)).await;
    let stranger = Mcp::start(&layer(), sessions).await;
    let session = first.open(&alice).await;
    assert_eq!((second.ping(&alice, &session).await, stranger.ping(&alice, &session).await), (200, 404));
}

#[tokio::test]
async fn layers_of_one_server_share_their_sessions() {
    let site = Site::open().await;
    let sessions = Arc::<LocalSessionManager>::default();
    let first = Mcp::start(&site.server.bearer(), Arc::clone(&sessions)).await;
    let second = Mcp::start(&site.server.bearer_live(), sessions).await;
    let alice = token(&site, "alice", CLIENT).await;
    let session = first.open(&alice).await;
    assert_eq!(second.ping(&alice, &session).await, 200);
}
