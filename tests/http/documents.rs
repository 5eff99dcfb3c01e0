//! Clients that are known by a document about them (MCP "Client ID Metadata Documents").

use std::sync::Mutex;

use mcp_token_lifecycle::BoxFuture;
use mcp_token_lifecycle::http::*;
use serde_json::{Value, json};

use crate::site::*;
use crate::support::VERIFIER;

const ID: &str = "https://client.example/oauth/client.json";

fn document() -> Value {
    json!({ "client_id": ID, "client_name": "Notebook", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" })
}

/// A web where every address is answered alike.
struct Web(Mutex<Result<Option<Value>, &'static str>>);

impl FetchDocument for &'static Web {
    fn fetch<'a>(
        &'a self,
        url: &'a str,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>>> {
        assert!(url.starts_with("https://"));
        let answer = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(answer?.map(|document| document.to_string().into_bytes())) })
    }
}

async fn open() -> (Site, &'static Web) {
    open_with(|server| server).await
}

async fn open_with(change: impl FnOnce(Server) -> Server) -> (Site, &'static Web) {
    let web: &'static Web = Box::leak(Box::new(Web(Mutex::new(Ok(Some(document()))))));
    (site_of(WithDocuments::new(MemoryClients::new().with(client()), web), change).await, web)
}

async fn site_of(clients: impl ClientRegistry + 'static, change: impl FnOnce(Server) -> Server) -> Site {
    Site::open_with(|server| {
        let resource = ProtectedResource::new("http://localhost/mcp", "notes:read").unwrap();
        let server = AuthorizationServer::new("http://localhost", server.issuer().clone(), resource, clients, Pages);
        change(server.unwrap().with_client_documents().with_tls(TlsPolicy::Loopback))
    })
    .await
}

/// spec: MCP authorization §Overview b
/// spec: MCP authorization §Registration: Documents a
/// spec: MCP authorization §Registration: Documents e
#[tokio::test]
async fn document_client_redeems_and_refreshes() {
    let (site, _) = open().await;
    let code = site.code(&[("client_id", ID)]).await;
    let pairs = [("grant_type", "authorization_code"), ("client_id", ID), ("code", &code), ("code_verifier", VERIFIER)];
    let tokens = site.post("/token", &pairs).await.tokens();
    let refresh = [("grant_type", "refresh_token"), ("client_id", ID), ("refresh_token", &tokens.refresh)];
    site.post("/token", &refresh).await.tokens();
    assert_eq!(
        site.get("/.well-known/oauth-authorization-server").await.json()["client_id_metadata_document_supported"],
        true
    );
    site.login().await;
}

#[tokio::test]
async fn document_invalid_or_missing_is_an_unknown_client() {
    let (site, web) = open().await;
    *web.0.lock().unwrap() = Ok(Some(json!({ "client_id": "https://other.example/client.json" })));
    let refused = site.authorize(&[("client_id", ID)]).await;
    assert_eq!((refused.refusal(), refused.header("location")), ((400, "invalid_request".into()), ""));
    *web.0.lock().unwrap() = Ok(None);
    let refused =
        site.post("/token", &[("grant_type", "refresh_token"), ("client_id", ID), ("refresh_token", "a")]).await;
    assert_eq!(refused.refusal(), (401, "invalid_client".into()));
}

#[tokio::test]
async fn document_that_cannot_be_fetched_is_503() {
    let (site, web) = open().await;
    *web.0.lock().unwrap() = Err("no route to host");
    let answer =
        site.post("/token", &[("grant_type", "refresh_token"), ("client_id", ID), ("refresh_token", "a")]).await;
    answer.assert_unavailable();
    site.authorize(&[("client_id", ID)]).await.assert_unavailable();
}

/// spec: MCP authorization §Registration: Documents c
#[test]
fn from_document_reads_id_name_and_redirect_uris() {
    let client = RegisteredClient::from_document(ID, document().to_string().as_bytes()).unwrap();
    assert_eq!((client.id(), client.metadata().name.as_deref()), (ID, Some("Notebook")));
    assert_eq!(client.metadata().auth_method, AuthMethod::None);
    assert!(client.redirect_uri(CALLBACK).is_some() && client.redirect_uri(WEB_CALLBACK).is_none());
    assert!(!client.is_preregistered());
}

/// spec: MCP authorization §Registration: Documents b
#[test]
fn from_document_names_what_is_wrong() {
    let with = |member: &str, value: Value| {
        let mut document = document();
        document[member] = value;
        document.to_string()
    };
    let without = |member: &str| {
        let mut document = document();
        document.as_object_mut().unwrap().remove(member);
        document.to_string()
    };
    for (document, error) in [
        (with("padding", json!("x".repeat(5 * 1024))), DocumentError::TooLong),
        (with("client_id", json!("https://client.example/oauth/client.json/")), DocumentError::OtherClient),
        (with("client_id", json!(7)), DocumentError::Metadata(MetadataError::Malformed)),
        (without("client_id"), DocumentError::Metadata(MetadataError::Malformed)),
        ("[]".into(), DocumentError::Metadata(MetadataError::Malformed)),
        ("{".into(), DocumentError::Metadata(MetadataError::Malformed)),
        (without("client_name"), DocumentError::NoName),
        (with("client_name", json!("")), DocumentError::NoName),
        (with("client_name", json!("\u{202E}\u{200B}")), DocumentError::NoName),
        (with("client_name", json!("two\nlines")), DocumentError::Metadata(MetadataError::Name)),
        (with("token_endpoint_auth_method", json!("client_secret_basic")), DocumentError::Secret),
        (with("token_endpoint_auth_method", json!("client_secret_post")), DocumentError::Secret),
        (
            with("token_endpoint_auth_method", json!("private_key_jwt")),
            DocumentError::Metadata(MetadataError::AuthMethod),
        ),
        (with("client_secret", json!("s")), DocumentError::Secret),
        (without("redirect_uris"), DocumentError::Metadata(MetadataError::RedirectUris)),
        (
            with("redirect_uris", json!(["http://client.example/"])),
            DocumentError::Metadata(MetadataError::RedirectUris),
        ),
        (with("grant_types", json!(["refresh_token"])), DocumentError::Metadata(MetadataError::GrantTypes)),
    ] {
        let refused = RegisteredClient::from_document(ID, document.as_bytes()).map(|_| ());
        assert_eq!(refused, Err(error), "{document:.200}");
    }
}

#[test]
fn from_document_accepts_public_hosts_and_plain_paths() {
    for id in [
        ID,
        "https://client.example:8443/client.json",
        "https://a-b.xn--bcher-kva.example/client",
        "https://client.example/a//b/",
        "https://client.example/%C3%A9/a%20b",
        "https://client.example/...",
        "https://client.example/.well-known/oauth-client",
        "https://localhost.client.example/a",
        "https://internal.client.example/a",
        "https://1.2.3.client.example/a",
    ] {
        let mut document = document();
        document["client_id"] = id.into();
        assert!(RegisteredClient::from_document(id, document.to_string().as_bytes()).is_ok(), "{id}");
    }
    let long = format!("https://client.example/{}", "a".repeat(512));
    assert!(matches!(RegisteredClient::from_document(&long, b"{}"), Err(DocumentError::Address)));
}

#[tokio::test]
async fn document_address_that_is_not_public_is_not_fetched() {
    let (site, web) = open().await;
    *web.0.lock().unwrap() = Err("it was fetched");
    for id in ["https://localhost/a", "https://client.example/a/%2e%2e/b", "https://2130706433/a", "https://[::1]/a"] {
        assert_eq!(site.authorize(&[("client_id", id)]).await.refusal(), (400, "invalid_request".into()), "{id}");
    }
    site.authorize(&[("client_id", ID)]).await.assert_unavailable();
}

/// spec: MCP authorization §Registration: Documents b
#[test]
fn from_document_refuses_client_ids_that_are_no_address() {
    for id in [
        "http://client.example/client.json",
        "http://127.0.0.1/client.json",
        "https://client.example",
        "https://client.example/",
        "https://client.example/a?b",
        "https://client.example/a#b",
        "https://user@client.example/a",
        "https://client.example/a/../b",
        "https://client.example/./b",
        "https://client.example/a/%2e%2e/b",
        "https://client.example/a/%2E%2e/b",
        "https://client.example/a/.%2e/b",
        "https://client.example/a/%2e/b",
        "https://client.example/%2e%2e%2fb",
        "https://client.example/a%2fb",
        "https://client.example/a%5C..%5Cb",
        "https://client.example/a/%252e%252e/b",
        "https://client.example/a/..;x/b",
        "https://client.example/a/..%3bx/b",
        "https://client.example/%61",
        "https://client.example/%0a",
        "https://client.example/%zz",
        "https://client.example/%",
        "https://127.0.0.1/a",
        "https://127.1/a",
        "https://127.0.0.1./a",
        "https://2130706433/a",
        "https://0x7f000001/a",
        "https://0X7F.1/a",
        "https://0177.0.0.1/a",
        "https://10.0.0.1:8443/a",
        "https://169.254.169.254/latest",
        "https://1.2.3.0x/a",
        "https://a.123/b",
        "https://[::1]/a",
        "https://[::ffff:127.0.0.1]/a",
        "https://[fe80::1]:443/a",
        "https://localhost/a",
        "https://LOCALHOST:8443/a",
        "https://localhost./a",
        "https://app.localhost/a",
        "https://app.LocalHost/a",
        "https://printer.local/a",
        "https://metadata.google.internal/a",
        "https://router.home.arpa/a",
        "https://db.corp/a",
        "https://kubernetes.default.svc/a",
        "https://api.prod.Cluster/a",
        "https://client.test/a",
        "https://client.invalid/a",
        "https://client.onion/a",
        "https://intranet/a",
        "https://client.example./a",
        "https://client..example/a",
        "https://.client.example/a",
        "https://-client.example/a",
        "https://client.example@127.0.0.1/a",
        "https://client.example:/a",
        "HTTPS://client.example/a",
        "client-1",
        "",
    ] {
        let mut document = document();
        document["client_id"] = id.into();
        let refused = RegisteredClient::from_document(id, document.to_string().as_bytes()).map(|_| ());
        assert_eq!(refused, Err(DocumentError::Address), "{id}");
    }
}

fn registered(changes: Value) -> Result<RegisteredClient, DocumentError> {
    let mut document = document();
    document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    RegisteredClient::from_document(ID, document.to_string().as_bytes())
}

/// spec: MCP authorization §Overview b
#[tokio::test]
async fn document_with_unsupported_method_falls_back_to_none() {
    let (site, web) = open().await;
    let callback = "https://client.example/connector/oauth/IbUR3zxyNQ16";
    *web.0.lock().unwrap() = Ok(Some(json!({
        "client_id": ID,
        "client_uri": "https://client.example/",
        "redirect_uris": [callback],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks_uri": "https://client.example/oauth/jwks.json",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "client_name": "ChatGPT",
    })));
    let code = site.code(&[("client_id", ID), ("redirect_uri", callback)]).await;
    let pairs = [("grant_type", "authorization_code"), ("client_id", ID), ("code", &code), ("code_verifier", VERIFIER)];
    site.post("/token", &pairs).await.tokens();
}

#[test]
fn document_with_odd_members_is_read_without_them() {
    for changes in [
        json!({ "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": ["x", 7, "none"] }),
        json!({ "token_endpoint_auth_method": "client_secret_basic", "token_endpoint_auth_methods_supported": ["none"] }),
        json!({ "token_endpoint_auth_method": null, "token_endpoint_auth_methods_supported": null }),
        json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "authorization_code"] }),
        json!({ "grant_types": [], "response_types": null }),
        json!({ "scope": 7, "contacts": {}, "jwks": "x", "client_secret": null, "logo_uri": ["javascript:alert(1)"] }),
        json!({ "redirect_uris": ["cursor://a/b", CALLBACK, "javascript:alert(1)", 7, "http://client.example/"] }),
    ] {
        let client = registered(changes.clone()).unwrap();
        assert_eq!(client.metadata().auth_method, AuthMethod::None, "{changes}");
        assert!(client.redirect_uri(CALLBACK).is_some() && client.redirect_uri("javascript:alert(1)").is_none());
    }
    for (changes, error) in [
        (
            json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt"], "token_endpoint_auth_method": null }),
            DocumentError::Metadata(MetadataError::AuthMethod),
        ),
        (
            json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"], "token_endpoint_auth_method": "client_secret_jwt" }),
            DocumentError::Secret,
        ),
        (
            json!({ "redirect_uris": ["javascript:alert(1)", "file:///a", "http://client.example/"] }),
            DocumentError::Metadata(MetadataError::RedirectUris),
        ),
    ] {
        assert_eq!(registered(changes.clone()).map(|_| ()), Err(error), "{changes}");
    }
}

#[tokio::test]
async fn document_with_private_use_schemes_needs_them_allowed() {
    let app = "com.example.app:/cb";
    for allowed in [false, true] {
        let (site, web) = open_with(|server| match allowed {
            true => server.with_private_use_schemes([]).unwrap(),
            false => server,
        })
        .await;
        let mut document = document();
        document["redirect_uris"] = json!([app, "cursor://a/b"]);
        *web.0.lock().unwrap() = Ok(Some(document));
        for (uri, good) in [(app, allowed), ("cursor://a/b", false)] {
            let answer = site.authorize(&[("client_id", ID), ("redirect_uri", uri)]).await;
            assert_eq!(answer.status, if good { 303 } else { 400 }, "{uri}");
            assert_eq!(answer.header("location").starts_with(&format!("{app}?code=")), good);
        }
    }
}

/// A document changes nothing about a client that is known beforehand.
#[tokio::test]
async fn document_does_not_shadow_a_client_known_beforehand() {
    let web: &'static Web = Box::leak(Box::new(Web(Mutex::new(Ok(Some(document()))))));
    let secret = ClientSecret::from_text(WEB_SECRET);
    let known = RegisteredClient::confidential(ID, &secret, ClientMetadata::new([WEB_CALLBACK]).unwrap());
    let site = site_of(WithDocuments::new(MemoryClients::new().with(known), web), |server| server).await;
    let code = site.code(&[("client_id", ID), ("redirect_uri", WEB_CALLBACK)]).await;
    let pairs = [("grant_type", "authorization_code"), ("client_id", ID), ("code", &code), ("code_verifier", VERIFIER)];
    assert_eq!(site.post("/token", &pairs).await.refusal(), (401, "invalid_client".into()));
    let refused = site.authorize(&[("client_id", ID), ("redirect_uri", CALLBACK)]).await;
    assert_eq!((refused.status, refused.header("location")), (400, ""), "the document's redirect URI");
    site.post_with("/token", &basic(ID, WEB_SECRET), &pairs).await.tokens();
    *web.0.lock().unwrap() = Err("no route to host");
    assert_eq!(site.authorize(&[("client_id", ID), ("redirect_uri", WEB_CALLBACK)]).await.status, 303);
}
