//! Server-sent events through rmcp, both sides: they end with the token.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use mcp_token_lifecycle::http::*;
use rmcp::model::{CallToolRequestParams, ProgressNotificationParam, RequestMetaObject};
use rmcp::service::{NotificationContext, RequestContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ClientHandler, Peer, RoleClient, RoleServer, ServiceExt, tool, tool_router};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;
use tower::Layer;

use crate::drip::Alarm;
use crate::site::*;

const LONG: Duration = Duration::from_secs(60);

/// A tool that goes on until its caller is gone, and reports what the test gives it.
#[derive(Clone)]
struct Ticker {
    ticks: Arc<Mutex<UnboundedReceiver<f64>>>,
    over: Arc<Notify>,
}

#[tool_router(server_handler)]
impl Ticker {
    #[tool(description = "Reports progress for as long as a client listens")]
    async fn watch(
        &self,
        meta: RequestMetaObject,
        peer: Peer<RoleServer>,
        context: RequestContext<RoleServer>,
    ) -> String {
        let token = meta.get_progress_token().expect("rmcp's client sends one");
        let mut ticks = self.ticks.lock().await;
        loop {
            tokio::select! {
                Some(tick) = ticks.recv() => {
                    let _gone = peer.notify_progress(ProgressNotificationParam::new(token.clone(), tick)).await;
                }
                () = context.ct.cancelled() => break,
            }
        }
        self.over.notify_one();
        "no client listens".into()
    }
}

/// A client that hands over what it is told.
struct Listener(UnboundedSender<f64>);

impl ClientHandler for Listener {
    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let _gone = self.0.send(params.progress);
    }
}

/// A call that goes on, from end to end.
struct Call {
    client: Arc<RunningService<RoleClient, Listener>>,
    ticks: UnboundedSender<f64>,
    heard: UnboundedReceiver<f64>,
    over: Arc<Notify>,
    calling: tokio::task::JoinHandle<bool>,
}

impl Call {
    async fn begin(layer: BearerLayer, token: &str) -> Self {
        let (ticks, receiver) = unbounded_channel();
        let ticker = Ticker { ticks: Arc::new(Mutex::new(receiver)), over: Arc::default() };
        let over = Arc::clone(&ticker.over);
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(false);
        let config = config.with_sse_keep_alive(None).with_sse_retry(None);
        let mcp = StreamableHttpService::new(move || Ok(ticker.clone()), Arc::<NeverSessionManager>::default(), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new().route_service("/mcp", layer.layer(mcp));
        tokio::spawn(async move { axum::serve(listener, router).await });

        let (sender, heard) = unbounded_channel();
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token);
        let transport = StreamableHttpClientTransport::from_config(config);
        let client = Arc::new(timeout(LONG, Listener(sender).serve(transport)).await.unwrap().unwrap());
        let caller = Arc::clone(&client);
        let calling = tokio::spawn(async move { caller.call_tool(CallToolRequestParams::new("watch")).await.is_ok() });
        let mut call = Self { client, ticks, heard, over, calling };
        call.assert_open(1.0).await;
        call
    }

    /// What the tool reports arrives at the client.
    async fn assert_open(&mut self, tick: f64) {
        self.ticks.send(tick).unwrap();
        assert_eq!(timeout(LONG, self.heard.recv()).await.expect("it arrives"), Some(tick));
    }

    /// The stream has ended: the tool learns of it, the client hears no more, and what it calls next is refused.
    async fn assert_ended(mut self) {
        timeout(LONG, self.over.notified()).await.expect("the stream ends");
        let refused = timeout(LONG, self.client.call_tool(CallToolRequestParams::new("watch"))).await.unwrap();
        assert!(format!("{:?}", refused.unwrap_err()).to_lowercase().contains("auth"));
        self.calling.abort();
        assert!(self.heard.try_recv().is_err());
    }
}

fn layer(site: &Site, alarm: &Alarm, live: bool) -> BearerLayer {
    let (layer, alarm) = (if live { site.server.bearer_live() } else { site.server.bearer() }, alarm.clone());
    layer.with_sleep(move |duration| alarm.sleep(duration))
}

fn lifetime(tokens: &Tokens) -> u64 {
    tokens.all["expires_in"].as_u64().unwrap() + 5
}

#[tokio::test]
async fn event_stream_ends_at_the_expiry_of_its_token() {
    for live in [false, true] {
        let (site, alarm) = (Site::open().await, Alarm::default());
        let tokens = site.login().await;
        let mut call = Call::begin(layer(&site, &alarm, live), &tokens.access).await;
        alarm.pass(&site.clock, lifetime(&tokens) - 1);
        call.assert_open(2.0).await;
        alarm.pass(&site.clock, 1);
        call.assert_ended().await;
    }
}

#[tokio::test]
async fn event_stream_ends_after_a_revocation_with_the_live_check() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let mut call = Call::begin(layer(&site, &alarm, true), &tokens.access).await;
    alarm.pass(&site.clock, 60);
    call.assert_open(2.0).await;
    site.post("/revoke", &[("client_id", CLIENT), ("token", &tokens.refresh)]).await;
    alarm.pass(&site.clock, 60);
    call.assert_ended().await;
}

#[tokio::test]
async fn event_stream_outlives_a_revocation_offline_until_the_expiry() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let mut call = Call::begin(layer(&site, &alarm, false), &tokens.access).await;
    site.post("/revoke", &[("client_id", CLIENT), ("token", &tokens.refresh)]).await;
    alarm.pass(&site.clock, lifetime(&tokens) - 1);
    call.assert_open(2.0).await;
    alarm.pass(&site.clock, 1);
    call.assert_ended().await;
}
