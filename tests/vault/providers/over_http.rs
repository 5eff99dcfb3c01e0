//! A real server and `ReqwestClient`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use mcp_token_lifecycle::vault::*;
use tokio::net::TcpListener;

use super::shape::{OLD_ACCESS, OLD_REFRESH, SECRET, plain, shape, tokens};

/// What the server got: method and URI, headers, body.
type Got = Arc<Mutex<Vec<(String, HeaderMap, String)>>>;

/// A server that answers by path with the recorded shape of that name, and remembers everything it got.
async fn server() -> (String, Got) {
    let got = Got::default();
    let log = Arc::clone(&got);
    let app = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let body = String::from_utf8(body.to_vec()).unwrap();
        log.lock().unwrap().push((format!("{method} {uri}"), headers, body));
        match uri.path() {
            "/never" => std::future::pending().await,
            "/endless" => "x".repeat(1 << 20).into_response(),
            "/cut" => ([("content-length", "1000")], axum::body::Body::from_stream(cut())).into_response(),
            path => shape(&path[1..]).map(axum::body::Body::from).into_response(),
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}"), got)
}

/// Half an answer, and then the connection breaks.
fn cut() -> impl futures_util::Stream<Item = Result<&'static str, std::io::Error>> {
    futures_util::stream::iter([Ok(r#"{"access_token":"new","#), Err(std::io::ErrorKind::ConnectionReset.into())])
}

/// A provider for `service`, at this token endpoint, with time for a busy machine.
pub fn provider(service: Service, token_url: &str) -> impl UpstreamProvider + use<> {
    hasty_provider(service, token_url, Duration::from_secs(60))
}

/// A provider that waits for so long.
pub fn hasty_provider(mut service: Service, token_url: &str, timeout: Duration) -> impl UpstreamProvider + use<> {
    service.token_endpoint = Endpoint::parse(token_url).unwrap();
    OAuthProvider::new(service, ReqwestClient::from_builder(reqwest::Client::builder(), timeout).unwrap())
}

#[tokio::test]
async fn a_server_gets_each_secret_once_and_never_in_an_address() {
    let (base, got) = server().await;
    let mut github = Service::github("Iv1.0123", SecretText::new(SECRET)).unwrap();
    github.revocation = Some((Endpoint::parse(&format!("{base}/github_revoked")).unwrap(), TokenRequest::GitHub));
    let github = provider(github, &format!("{base}/github_refreshed"));
    assert_eq!(github.refresh(&tokens()).await.unwrap().access_token.unwrap().expose(), "ghu_new");
    assert_eq!(github.revoke(&Credential::OAuth(tokens())).await.unwrap(), Revocation::Done);
    let mut slack = Service::slack("1.2", SecretText::new(SECRET)).unwrap();
    slack.revocation = Some((Endpoint::parse(&format!("{base}/slack_revoked")).unwrap(), TokenRequest::Bearer));
    let slack = provider(slack, &format!("{base}/slack_refreshed_user"));
    assert_eq!(slack.refresh(&tokens()).await.unwrap().access_token.unwrap().expose(), "xoxe.xoxp-new");
    assert_eq!(slack.revoke(&Credential::OAuth(tokens())).await.unwrap(), Revocation::Done);

    let got = got.lock().unwrap();
    let lines: Vec<_> = got.iter().map(|(line, ..)| line.as_str()).collect();
    let expected =
        ["POST /github_refreshed", "DELETE /github_revoked", "POST /slack_refreshed_user", "POST /slack_revoked"];
    assert_eq!(lines, expected);
    // How often each of old access token, old refresh token and client secret came, in headers and in the body.
    let secrets = [OLD_ACCESS, OLD_REFRESH, SECRET];
    let counts = got.iter().map(|(_, headers, body)| {
        let headers = format!("{:?}", headers.iter().map(|(_, value)| value.to_str().unwrap()).collect::<Vec<_>>());
        secrets.map(|secret| (headers.matches(secret).count(), body.matches(secret).count()))
    });
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [[(0, 0), (0, 1), (0, 1)], [(0, 1), (0, 0), (0, 0)], [(0, 0), (0, 1), (0, 0)], [(1, 0), (0, 0), (0, 0)],]
    );
    let names = |index: usize| {
        let mut names: Vec<_> = got[index].1.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(0), ["accept", "content-length", "content-type", "host", "user-agent"]);
    assert_eq!(names(1), ["accept", "authorization", "content-length", "content-type", "host", "user-agent"]);
    assert_eq!(names(2), ["accept", "authorization", "content-length", "content-type", "host", "user-agent"]);
    assert_eq!(names(3), ["accept", "authorization", "content-length", "host", "user-agent"]);
}

#[tokio::test]
async fn what_was_not_sent_is_told_from_what_may_have_been_carried_out() {
    let (base, got) = server().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let unreachable = provider(plain(), &format!("http://{closed}/token")).refresh(&tokens()).await;
    assert!(matches!(unreachable, Err(UpstreamError::Unavailable { .. })), "{unreachable:?}");
    for path in ["never", "endless", "cut", "fault_truncated", "fault_500"] {
        // Long enough for the request to arrive where no answer comes.
        let timeout = Duration::from_secs(if path == "never" { 5 } else { 60 });
        let lost = hasty_provider(plain(), &format!("{base}/{path}"), timeout).refresh(&tokens()).await;
        assert!(matches!(lost, Err(UpstreamError::Uncertain(_))), "{path}: {lost:?}");
    }
    assert_eq!(got.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_redirect_gets_neither_token_nor_secret() {
    let (elsewhere, stolen) = server().await;
    let location = format!("{elsewhere}/rfc_refreshed");
    let app = Router::new().fallback(move || async move { (StatusCode::PERMANENT_REDIRECT, [("location", location)]) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let moved = provider(plain(), &base).refresh(&tokens()).await;
    assert!(matches!(moved, Err(UpstreamError::Configuration { ref code, .. }) if code == "http_308"), "{moved:?}");
    assert!(stolen.lock().unwrap().is_empty());
}
