//! `/.well-known` (RFC 8414, RFC 9728).

use std::sync::Arc;

use axum::body::Body;
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{MemoryStore, TokenIssuer};
use serde_json::json;

use crate::site::*;
use crate::support::keyring;

const SERVER: &str = "/.well-known/oauth-authorization-server";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// spec: MCP authorization §Overview d
/// spec: MCP authorization §Authorization Response Validation b
/// spec: MCP authorization §Security: Code Protection
/// spec: RFC 8414 §2 a
/// spec: RFC 8414 §3.2
/// spec: RFC 9207 §2.3 a
#[tokio::test]
async fn server_metadata_has_every_member() {
    let site = Site::open().await;
    let url = |path| format!("{}{path}", site.origin);
    let expected = json!({
        "issuer": site.origin,
        "authorization_endpoint": url("/authorize"),
        "token_endpoint": url("/token"),
        "registration_endpoint": url("/register"),
        "revocation_endpoint": url("/revoke"),
        "introspection_endpoint": url("/introspect"),
        "scopes_supported": ["notes:admin", "notes:read", "notes:write"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": false,
    });
    let answer = site.get(SERVER).await;
    assert_eq!((answer.status, answer.json()), (200, expected));
}

/// spec: MCP authorization §Overview c
/// spec: MCP authorization §Discovery: Location
/// spec: MCP authorization §Discovery: Resource Metadata
/// spec: RFC 9728 §2
/// spec: RFC 9728 §3.2
/// spec: RFC 9728 §3.3
#[tokio::test]
async fn resource_metadata_names_its_authorization_server() {
    let site = Site::open().await;
    let expected = json!({
        "resource": format!("{}/mcp", site.origin),
        "authorization_servers": [site.origin],
        "scopes_supported": ["notes:admin", "notes:read", "notes:write"],
        "bearer_methods_supported": ["header"],
    });
    let answer = site.get(&format!("{RESOURCE}/mcp")).await;
    assert_eq!((answer.status, answer.json()), (200, expected));
    for elsewhere in
        [RESOURCE, "/.well-known/oauth-protected-resource/other", "/mcp/.well-known/oauth-protected-resource"]
    {
        assert_eq!(site.get(elsewhere).await.status, 404, "{elsewhere}");
    }
}

#[tokio::test]
async fn resource_metadata_is_found_however_its_path_is_spelled() {
    let site = Site::open_with(|server| {
        server.with_resource(ProtectedResource::new("https://h.example/caf%c3%a9/mcp", "notes:read").unwrap())
    })
    .await;
    for path in ["/caf%C3%A9/mcp", "/caf%c3%a9/mcp", "/caf%C3%A9/%6dcp"] {
        let answer = site.get(&format!("{RESOURCE}{path}")).await;
        assert_eq!(
            (answer.status, &answer.json()["resource"]),
            (200, &json!("https://h.example/caf%C3%A9/mcp")),
            "{path}"
        );
    }
    for path in ["/caf%C3%A9%2Fmcp", "/caf%C3%A9/mcp/", "/caf%C3%A9/mcp%"] {
        assert_eq!(site.get(&format!("{RESOURCE}{path}")).await.status, 404, "{path}");
    }
}

/// spec: MCP authorization §Discovery: Server Metadata
/// spec: RFC 8414 §3
/// spec: RFC 8414 §3.3
/// spec: RFC 9207 §2.3 b
/// spec: RFC 9207 §2.4
#[tokio::test]
async fn issuer_is_byte_identical_in_metadata_and_iss() {
    for identifier in
        ["http://localhost", "http://LOCALHOST:80/", "http://localhost/tenant-1", "http://localhost/tenant-1/"]
    {
        let site = Site::open_with(|server| {
            let resource = ProtectedResource::new("http://localhost/mcp", "notes:read").unwrap();
            let clients = MemoryClients::new().with(client());
            AuthorizationServer::new(identifier, server.issuer().clone(), resource, clients, Pages)
                .unwrap()
                .with_tls(TlsPolicy::Loopback)
        })
        .await;
        let path = identifier.strip_suffix('/').unwrap_or(identifier).splitn(4, '/').nth(3);
        let path = path.map_or(String::new(), |path| format!("/{path}"));
        let metadata = site.get(&format!("{SERVER}{path}")).await.json();
        assert_eq!(metadata["issuer"], identifier);
        assert_eq!(metadata["token_endpoint"], format!("{}/token", identifier.trim_end_matches('/')));
        let resource = site.get(&format!("{RESOURCE}/mcp")).await.json();
        assert_eq!(resource["authorization_servers"], json!([identifier]));
        let authorize = site.request("GET", &format!("{path}{}", site.authorize_path(&[]))).header("cookie", "user=1");
        assert_eq!(send(authorize.body(Body::empty()).unwrap()).await.sent_back("iss"), identifier);
    }
}

/// spec: RFC 8414 §3
#[tokio::test]
async fn issuer_with_path_serves_nothing_outside_of_it() {
    let site = Site::open_with(|server| {
        let resource = ProtectedResource::new("http://localhost/mcp", "notes:read").unwrap();
        let issuer = server.issuer().clone();
        AuthorizationServer::new("http://localhost/tenant-1", issuer, resource, MemoryClients::new(), Pages)
            .unwrap()
            .with_tls(TlsPolicy::Loopback)
    })
    .await;
    for path in [SERVER, "/token", "/tenant-1", "/tenant-1token", "/tenant-1//token", "/tenant-1/token/"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
    assert_eq!(site.get("/tenant-1/token").await.status, 405);
}

/// spec: RFC 8414 §3.1
#[tokio::test]
async fn head_has_the_headers_of_get_and_no_content() {
    let site = Site::open().await;
    for path in [SERVER, "/.well-known/oauth-protected-resource/mcp", "/nowhere", "/token"] {
        let (parts, ()) = site.request("HEAD", path).body(()).unwrap().into_parts();
        let reply = site.server.handle(&parts, &[]).await;
        let length = reply.headers()["content-length"].to_str().unwrap().to_owned();
        assert_eq!(reply.into_body().into_bytes().len(), 0, "{path}");
        let head = send(site.request("HEAD", path).body(Body::empty()).unwrap()).await;
        assert_eq!((head.header("content-length"), head.header("content-type")), (length.as_str(), "application/json"));
    }
    let (head, get) = (send(site.request("HEAD", SERVER).body(Body::empty()).unwrap()).await, site.get(SERVER).await);
    assert_eq!((head.status, head.header("content-length")), (200, get.body.len().to_string().as_str()));
}

/// spec: RFC 8414 §3.1
/// spec: RFC 9728 §3.1
#[tokio::test]
async fn metadata_refuses_other_methods_and_unknown_paths() {
    let site = Site::open().await;
    for path in [SERVER, "/.well-known/oauth-protected-resource/mcp"] {
        for method in ["POST", "PUT", "DELETE"] {
            let refused = send(site.request(method, path).body(Body::empty()).unwrap()).await;
            assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD"), "{method}");
        }
    }
    for path in ["/", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/mcp", "/Token"] {
        assert_eq!(site.get(path).await.refusal(), (404, "invalid_request".into()), "{path}");
    }
}

/// spec: MCP authorization §Canonical Server URI c
/// spec: RFC 9728 §3
/// spec: RFC 9728 §3.3
#[test]
fn metadata_path_is_between_host_and_path_of_resource() {
    for (uri, path) in [
        ("https://mcp.example.com", ""),
        ("https://mcp.example.com/", ""),
        ("https://MCP.example.com/mcp", "/mcp"),
        ("https://mcp.example.com/mcp/", "/mcp/"),
        ("https://mcp.example.com/a/b", "/a/b"),
        ("https://mcp.example.com:443/a/./%62", "/a/b"),
    ] {
        let resource = ProtectedResource::new(uri, "notes:read").unwrap().with_name("Notes");
        assert_eq!(resource.metadata_path(), format!("{RESOURCE}{path}"), "{uri}");
        assert_eq!(resource.metadata_url(), format!("https://mcp.example.com{RESOURCE}{path}"), "{uri}");
    }
}

/// spec: MCP authorization §Refresh Tokens a
/// spec: RFC 6750 §3 b
/// spec: RFC 8414 §2 b
/// spec: RFC 9207 §2 b
/// spec: RFC 9728 §1.2
#[test]
fn server_and_resource_refuse_bad_identifiers_and_scopes() {
    let new = |identifier: &str| {
        let issuer = Arc::new(TokenIssuer::new(MemoryStore::new(), keyring()));
        let resource = ProtectedResource::new("https://mcp.example.com/mcp", "notes:read").unwrap();
        AuthorizationServer::new(identifier, issuer, resource, MemoryClients::new(), Pages).map(|_| ())
    };
    let bad = ["http://mcp.example.com", "https://a/?q", "https://a/#f", "https://u@a", "mcp.example.com", ""];
    for identifier in bad {
        assert!(matches!(new(identifier), Err(ConfigError::Issuer { .. })), "{identifier}");
        assert!(matches!(ProtectedResource::new(identifier, "a"), Err(ConfigError::Resource { .. })), "{identifier}");
    }
    let made = |scopes| ProtectedResource::new("https://a/mcp", scopes);
    assert!(matches!(made(""), Err(ConfigError::NoScope { .. })));
    assert!(matches!(made("notes:read offline_access"), Err(ConfigError::OfflineAccess { .. })));
    assert!(matches!(made("notes:\"read\""), Err(ConfigError::Scope { .. })));
}
