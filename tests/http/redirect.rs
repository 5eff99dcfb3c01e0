//! Which redirect URIs a request may name (OAuth 2.1 §2.3.1, §8.4.2, RFC 9700 §4.1).

use mcp_token_lifecycle::http::*;

use crate::site::*;

/// Whether a client that registered `registered` gets a code at `presented`.
async fn reaches(site: &Site, registered: &str, presented: &str) -> bool {
    let client = site.register(registered).await;
    let answer = site.authorize(&[("client_id", &client), ("redirect_uri", presented)]).await;
    let location = answer.header("location");
    match answer.status {
        303 => {
            assert!(
                location.starts_with(&format!("{presented}?code="))
                    || location.starts_with(&format!("{presented}&code="))
            );
            true
        }
        status => {
            assert_eq!((status, location), (400, ""), "{presented}");
            false
        }
    }
}

/// spec: MCP authorization §Security: Open Redirection a
/// spec: OAuth 2.1 §2.3.1
/// spec: OAuth 2.1 §4.1.2.1
#[tokio::test]
async fn redirect_uri_https_matches_byte_for_byte() {
    let site = Site::open().await;
    let registered = "https://app.example.com/callback?tenant=1";
    assert!(reaches(&site, registered, registered).await);
    for other in [
        "https://app.example.com/callback",
        "https://app.example.com/callback?tenant=1&more=2",
        "https://app.example.com/callback/?tenant=1",
        "https://app.example.com/Callback?tenant=1",
        "https://app.example.com:443/callback?tenant=1",
        "https://app.example.com:8443/callback?tenant=1",
        "https://APP.example.com/callback?tenant=1",
        "https://app.example.com.evil.example/callback?tenant=1",
        "https://evil.example/callback?tenant=1",
        "https://app.example.com@evil.example/callback?tenant=1",
        "http://app.example.com/callback?tenant=1",
        "https://app.example.com/callback?tenant=1#fragment",
        "https://app.example.com/x/../callback?tenant=1",
        "//app.example.com/callback?tenant=1",
        "javascript:alert(1)",
    ] {
        assert!(!reaches(&site, registered, other).await, "{other}");
    }
}

/// spec: MCP authorization §Security: Open Redirection a
/// spec: OAuth 2.1 §2.3.1
#[tokio::test]
async fn redirect_uri_on_loopback_may_differ_in_port_alone() {
    let site = Site::open().await;
    for (registered, presented) in [
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback"),
        ("http://127.0.0.1:3000/callback", "http://127.0.0.1/callback"),
        ("http://localhost:3000/callback", "http://localhost:51004/callback"),
        ("http://[::1]/callback", "http://[::1]:51004/callback"),
    ] {
        assert!(reaches(&site, registered, presented).await, "{presented}");
    }
    let registered = "http://127.0.0.1:3000/callback";
    for other in [
        "http://127.0.0.1:3000/other",
        "http://127.0.0.1:3000/callback?a=b",
        "http://127.0.0.2:3000/callback",
        "http://localhost:3000/callback",
        "https://127.0.0.1:3000/callback",
        "http://127.0.0.1:3000@evil.example/callback",
        "http://127.0.0.1:evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
    ] {
        assert!(!reaches(&site, registered, other).await, "{other}");
    }
}

#[tokio::test]
async fn redirect_uri_may_be_omitted_if_client_has_one() {
    let site = Site::open().await;
    assert!(site.authorize(&[("redirect_uri", "")]).await.header("location").starts_with(&format!("{CALLBACK}?code=")));
    let refused = site.authorize(&[("client_id", WEB_CLIENT), ("redirect_uri", "")]).await;
    assert_eq!((refused.refusal(), refused.header("location")), ((400, "invalid_request".into()), ""));
}

/// spec: OAuth 2.1 §7.11
#[tokio::test]
async fn redirect_uri_keeps_its_query() {
    let site = Site::open().await;
    let uri = "https://app.example.com/other?tenant=1";
    let answer = site.authorize(&[("client_id", WEB_CLIENT), ("redirect_uri", uri)]).await;
    assert!(answer.header("location").starts_with(&format!("{uri}&code=")), "{}", answer.header("location"));
    assert_eq!(answer.sent_back("tenant"), "1");
}

/// spec: MCP authorization §Security: Documents b
#[test]
fn redirect_uri_shows_origin_and_is_loopback() {
    for (uri, origin, loopback) in [
        ("https://app.example.com:8443/callback?a=b", "https://app.example.com:8443", false),
        ("https://app.example.com", "https://app.example.com", false),
        ("http://localhost:3000?a", "http://localhost:3000", true),
        ("http://[::1]/callback", "http://[::1]", true),
    ] {
        let uri = RedirectUri::parse(uri).unwrap();
        assert_eq!((uri.origin(), uri.is_loopback()), (origin, loopback), "{uri}");
    }
}

/// An application may write down itself that a client is an app; a confidential client is none.
#[tokio::test]
async fn native_client_known_beforehand_gets_codes_at_its_scheme() {
    let app = "com.example.app:/cb";
    assert_eq!(ClientMetadata::new([app]), Err(MetadataError::RedirectUris));
    for uri in ["javascript:alert(1)", "file:///a", "http://a.example/"] {
        assert_eq!(ClientMetadata::native([app, uri]), Err(MetadataError::RedirectUris), "{uri}");
    }
    let metadata = ClientMetadata::native([app, WEB_CALLBACK]).unwrap();
    let secret = ClientSecret::from_text(WEB_SECRET);
    let site = Site::open_with(|server| {
        let resource = ProtectedResource::new("http://localhost/mcp", "notes:read").unwrap();
        let clients = MemoryClients::new()
            .with(RegisteredClient::public("native", metadata.clone()))
            .with(RegisteredClient::confidential("web", &secret, metadata.clone()));
        AuthorizationServer::new("http://localhost", server.issuer().clone(), resource, clients, Pages)
            .unwrap()
            .with_tls(TlsPolicy::Loopback)
    })
    .await;
    let answer = async |client: &str, uri: &str| {
        let answer = site.authorize(&[("client_id", client), ("redirect_uri", uri)]).await;
        (answer.status, answer.header("location").starts_with(&format!("{uri}?code=")))
    };
    assert_eq!(answer("native", app).await, (303, true));
    assert_eq!(answer("native", "com.example.app:/cb/").await, (400, false));
    assert_eq!(answer("web", app).await, (400, false));
    assert_eq!(answer("web", WEB_CALLBACK).await, (303, true));
}
