//! `/register` (RFC 7591).

use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{KeyId, Keyring, MasterKey, TokenIssuer};
use serde_json::{Value, json};

use crate::site::*;
use crate::support::{Fault, Op, START};

async fn register(site: &Site, metadata: Value) -> Answer {
    site.post_as("/register", "application/json", &metadata.to_string()).await
}

/// spec: MCP authorization §Registration: Dynamic
/// spec: RFC 7591 §2 b
/// spec: RFC 7591 §3.2.1 a
#[tokio::test]
async fn register_public_client_gets_metadata_and_no_secret() {
    let site = Site::open().await;
    let uris = ["http://127.0.0.1:3000/callback", "https://app.example.com/callback"];
    let asked = json!({
        "redirect_uris": uris, "client_name": "Notebook", "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"], "response_types": ["code"], "application_type": "native",
        "client_uri": "https://app.example.com", "scope": "notes:read", "software_version": null,
    });
    let answer = register(&site, asked).await;
    let body = answer.json();
    let id = body["client_id"].as_str().unwrap();
    let expected = json!({
        "client_id": id, "client_id_issued_at": START, "client_name": "Notebook", "redirect_uris": uris,
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    assert_eq!((answer.status, &body), (201, &expected));
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'));
    assert!(
        site.authorize(&[("client_id", id), ("redirect_uri", uris[1])]).await.header("location").contains("?code=")
    );
}

/// spec: RFC 7591 §2 a
/// spec: RFC 7591 §3.2.1 a
#[tokio::test]
async fn register_without_auth_method_gets_a_secret() {
    let site = Site::open().await;
    let answer = register(&site, json!({ "redirect_uris": [WEB_CALLBACK] })).await;
    let body = answer.json();
    let (id, secret) = (body["client_id"].as_str().unwrap(), body["client_secret"].as_str().unwrap());
    assert_eq!((answer.status, &body["token_endpoint_auth_method"]), (201, &json!("client_secret_basic")));
    assert_eq!(body["client_secret_expires_at"], 0, "it does not expire while the client is in use");
    assert!(body.get("client_name").is_none());
    assert!(secret.len() >= 49 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    let code = site.code(&[("client_id", id), ("redirect_uri", WEB_CALLBACK)]).await;
    let pairs = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", crate::support::VERIFIER)];
    site.post_with("/token", &basic(id, secret), &pairs).await.tokens();
    let records = site.store.journal();
    assert!(!records.is_empty() && records.iter().all(|record| !contains(&record.payload, secret.as_bytes())));
}

/// spec: OAuth 2.1 §7.7
/// spec: RFC 7591 §3.2.1 c
#[tokio::test]
async fn register_twice_shares_neither_id_nor_secret() {
    let site = Site::open().await;
    let metadata = json!({ "redirect_uris": [WEB_CALLBACK] });
    let (one, other) = (register(&site, metadata.clone()).await.json(), register(&site, metadata).await.json());
    assert!(one["client_id"] != other["client_id"] && one["client_secret"] != other["client_secret"]);
}

/// spec: MCP authorization §Security: Communication b
/// spec: RFC 7591 §3.2.2
/// spec: RFC 7591 §5
#[tokio::test]
async fn redirect_uris_are_https_or_on_the_users_own_machine() {
    let site = Site::open().await;
    let many: Vec<_> = (0..17).map(|n| format!("https://app.example.com/{n}")).collect();
    for uris in [
        json!([]),
        json!(null),
        json!(["http://app.example.com/"]),
        json!(["http://192.168.0.1/"]),
        json!(["com.example.app:/callback"]),
        json!(["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"]),
        json!([7, null, {}]),
        json!(["https://app.example.com/#fragment"]),
        json!(["https://user@app.example.com/"]),
        json!(["/callback"]),
        json!(["https://app.example.com/\u{e4}"]),
        json!(many),
    ] {
        let refused = register(&site, json!({ "redirect_uris": uris })).await;
        assert_eq!(refused.refusal(), (400, "invalid_redirect_uri".into()), "{uris}");
    }
}

/// spec: RFC 7591 §3.2.2
#[tokio::test]
async fn metadata_that_cannot_be_honoured_is_refused() {
    let site = Site::open().await;
    for (member, value) in [
        ("grant_types", json!(["client_credentials"])),
        ("response_types", json!(["token"])),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("token_endpoint_auth_method", json!(7)),
        ("client_name", json!("two\nlines")),
        ("redirect_uris", json!(WEB_CALLBACK)),
    ] {
        let mut metadata = json!({ "redirect_uris": [WEB_CALLBACK] });
        metadata[member] = value;
        let refused = register(&site, metadata).await;
        assert_eq!(refused.refusal(), (400, "invalid_client_metadata".into()), "{member}");
    }
    let as_array = format!(r#"[["{WEB_CALLBACK}"],"name","none",null,null]"#);
    let twice = format!(r#"{{"redirect_uris":["{WEB_CALLBACK}"],"redirect_uris":["https://evil.example/"]}}"#);
    for body in ["", "{", "null", "redirect_uris=a", &as_array, &twice] {
        let refused = site.post_as("/register", "application/json", body).await;
        assert_eq!(refused.refusal(), (400, "invalid_client_metadata".into()), "{body}");
    }
    let form = site.post("/register", &[("redirect_uris", WEB_CALLBACK)]).await;
    assert_eq!(form.refusal(), (415, "invalid_request".into()));
    assert_eq!(site.store.journal().len(), 0, "nothing is kept of what was refused");
}

#[tokio::test]
async fn register_strips_invisible_characters_from_names() {
    let site = Site::open().await;
    for (asked, registered) in [
        ("Note\u{202E}koob\u{202C}", "Notekoob"),
        ("No\u{200B}te\u{FEFF}book\u{E0041}", "Notebook"),
        ("  Note\u{2028}\u{3000}book ", "Note book"),
        (&"帳".repeat(43), &"帳".repeat(43)),
        (&"帳".repeat(300), &"帳".repeat(128)),
    ] {
        let body = register(&site, json!({ "redirect_uris": [WEB_CALLBACK], "client_name": asked })).await.json();
        assert_eq!(body["client_name"], registered);
    }
    let body =
        register(&site, json!({ "redirect_uris": [WEB_CALLBACK], "client_name": "\u{2066}\u{3164}" })).await.json();
    assert!(body["client_id"].is_string() && body.get("client_name").is_none(), "nothing of it can be seen");
}

/// spec: RFC 7591 §3
#[tokio::test]
async fn register_denied_by_application_is_400_and_stores_nothing() {
    let site = Site::open().await;
    let request =
        site.request("POST", "/register").header("content-type", "application/json").header("x-unwanted", "1");
    let refused = send(request.body(json!({ "redirect_uris": [WEB_CALLBACK] }).to_string().into()).unwrap()).await;
    assert_eq!(refused.refusal(), (400, "invalid_client_metadata".into()));
    assert_eq!(site.store.journal().len(), 0);
}

#[tokio::test]
async fn register_that_is_not_stored_is_503() {
    let site = Site::open().await;
    site.store.fail_every(Op::Commit, Fault::Unavailable);
    register(&site, json!({ "redirect_uris": [WEB_CALLBACK] })).await.assert_unavailable();
    assert_eq!(site.faults(), 1);
}

/// spec: RFC 7591 §3.2.1
/// spec: RFC 7591 §3.2.1 b
#[tokio::test]
async fn register_keeps_usable_redirect_uris_and_says_so() {
    let site = Site::open().await;
    let usable = ["http://localhost:8787/callback", "https://www.cursor.com/agents/mcp/oauth/callback"];
    let [local, web] = usable;
    for asked in [
        json!(["cursor://anysphere.cursor-mcp/oauth/callback", local, web]),
        json!([local, "http://192.168.0.1/", "javascript:alert(1)", web, "com.example.app:/cb"]),
        json!([local, local, 7, null, ["https://a.example/"], "", web, "https://a.example/#fragment", local]),
        // What is left out does not count against the limit of 16.
        json!((0..16).map(|n| format!("cursor://{n}")).chain(usable.map(Into::into)).collect::<Vec<_>>()),
    ] {
        for method in ["none", "client_secret_basic"] {
            let metadata = json!({ "redirect_uris": asked, "token_endpoint_auth_method": method });
            let answer = register(&site, metadata).await;
            assert_eq!((answer.status, &answer.json()["redirect_uris"]), (201, &json!(usable)), "{asked}");
        }
    }
}

/// spec: RFC 8252 §7.1
/// spec: MCP authorization §Security: Communication b
#[tokio::test]
async fn register_takes_private_use_schemes_once_allowed() {
    let site = Site::open_with(|server| server.with_private_use_schemes(["cursor"]).unwrap()).await;
    let [cursor, app, web] = ["cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/cb", WEB_CALLBACK];
    let uris =
        [cursor, app, web, "vscode://a/b", "javascript:alert(1)", "ms-msdt:/id", "mailto:a@b.example", "cursor:"];
    let metadata = json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" });
    let body = register(&site, metadata).await.json();
    assert_eq!(body["redirect_uris"], json!([cursor, app, web]));
    let id = body["client_id"].as_str().unwrap();
    for uri in [cursor, app] {
        let code = site.code(&[("client_id", id), ("redirect_uri", uri)]).await;
        let pairs = [("grant_type", "authorization_code"), ("client_id", id), ("code", &code), ("redirect_uri", uri)];
        site.post("/token", &[&pairs[..], &[("code_verifier", crate::support::VERIFIER)]].concat()).await.tokens();
        for other in [uri.to_uppercase(), format!("{uri}/"), format!("{uri}?a"), uri.replacen(':', ":/", 1)] {
            let refused = site.authorize(&[("client_id", id), ("redirect_uri", &other)]).await;
            assert_eq!((refused.status, refused.header("location")), (400, ""), "{other}");
        }
        // The user was not asked, so no app is called.
        let mistake = site.authorize(&[("client_id", id), ("redirect_uri", uri), ("scope", "calendar")]).await;
        assert_eq!((mistake.status, mistake.header("location")), (400, ""));
    }
    let confidential = register(&site, json!({ "redirect_uris": uris })).await.json();
    assert_eq!(confidential["redirect_uris"], json!([web]), "an app keeps no secret");
    let unusable = register(&site, json!({ "redirect_uris": [cursor] })).await;
    assert_eq!(unusable.refusal(), (400, "invalid_redirect_uri".into()));
}

/// spec: RFC 7591 §2, §3.2.1
/// spec: RFC 7591 §3.2.1 b
#[tokio::test]
async fn register_chooses_a_method_that_both_sides_have() {
    let site = Site::open().await;
    for (preferred, listed, chosen) in [
        (json!("private_key_jwt"), json!(["private_key_jwt", "none"]), "none"),
        (json!("private_key_jwt"), json!(["tls_client_auth", "client_secret_post", "none"]), "client_secret_post"),
        (json!("private_key_jwt"), json!([7, null, "none"]), "none"),
        (json!(7), json!(["none"]), "none"),
        (json!("none"), json!(["private_key_jwt"]), "none"),
        (json!("client_secret_post"), json!(["none"]), "client_secret_post"),
        (json!(null), json!(["none", "client_secret_basic"]), "client_secret_basic"),
        (json!(null), json!(["private_key_jwt", "none"]), "none"),
        (json!(null), json!([]), "client_secret_basic"),
        (json!(null), json!({}), "client_secret_basic"),
    ] {
        let metadata = json!({
            "redirect_uris": [WEB_CALLBACK],
            "token_endpoint_auth_method": preferred,
            "token_endpoint_auth_methods_supported": listed,
        });
        let answer = register(&site, metadata).await;
        let body = answer.json();
        assert_eq!((answer.status, &body["token_endpoint_auth_method"]), (201, &json!(chosen)), "{preferred} {listed}");
        assert_eq!(body.get("client_secret").is_some(), chosen != "none");
    }
    for (preferred, listed) in [
        (json!("private_key_jwt"), json!(["private_key_jwt"])),
        (json!("private_key_jwt"), json!([])),
        (json!(null), json!(["private_key_jwt"])),
    ] {
        let metadata = json!({
            "redirect_uris": [WEB_CALLBACK],
            "token_endpoint_auth_method": preferred,
            "token_endpoint_auth_methods_supported": listed,
        });
        let refused = register(&site, metadata).await;
        assert_eq!(refused.refusal(), (400, "invalid_client_metadata".into()), "{preferred} {listed}");
    }
}

/// spec: RFC 7591 §2
/// spec: RFC 7591 §2 b
#[tokio::test]
async fn register_leaves_odd_members_out() {
    let site = Site::open().await;
    for (member, value) in [
        ("grant_types", json!(null)),
        ("grant_types", json!([])),
        ("grant_types", json!("authorization_code")),
        ("grant_types", json!(["urn:ietf:params:oauth:grant-type:jwt-bearer", 7, "authorization_code", "implicit"])),
        ("response_types", json!(null)),
        ("response_types", json!(["token", "code", null])),
        ("response_types", json!("code")),
        ("client_name", json!(["a", 7])),
        ("scope", json!(["notes:read", 7])),
        ("scope", json!("calendar notes:read")),
        ("contacts", json!("unknown")),
        ("jwks", json!([])),
        ("client_id", json!("chosen")),
        ("application_type", json!("rocket")),
        ("x", json!({ "y": [1, 2, { "z": null }] })),
    ] {
        let mut metadata = json!({ "redirect_uris": [WEB_CALLBACK], "token_endpoint_auth_method": "none" });
        metadata[member] = value.clone();
        let answer = register(&site, metadata).await;
        assert_eq!(answer.status, 201, "{member}: {value}");
        assert_eq!(answer.json()["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_ne!(answer.json()["client_id"], "chosen");
    }
}

/// A public client that registers again is the same client.
/// spec: RFC 7591 §3.2.1 c
#[tokio::test]
async fn register_with_the_same_metadata_keeps_one_client() {
    let site = Site::open().await;
    let public = |name: &str, uris: Value| json!({ "client_name": name, "redirect_uris": uris, "token_endpoint_auth_method": "none" });
    let id = |answer: Answer| answer.json()["client_id"].as_str().unwrap().to_owned();
    let first = id(register(&site, public("Notebook", json!(["http://localhost:1/cb", WEB_CALLBACK]))).await);
    let written = site.store.journal().len();
    for port in 2..50 {
        let uris = json!([WEB_CALLBACK, format!("http://localhost:{port}/cb")]);
        let answer = register(&site, public("Notebook", uris.clone())).await;
        assert_eq!((answer.status, &answer.json()["redirect_uris"]), (201, &uris), "each is answered what it asked");
        assert_eq!(id(answer), first);
    }
    assert_eq!(site.store.journal().len(), written, "and nothing is written");
    for (name, uris) in [
        ("Notebook 2", json!(["http://localhost:1/cb", WEB_CALLBACK])),
        ("Notebook", json!(["http://127.0.0.1:1/cb", WEB_CALLBACK])),
        ("Notebook", json!(["http://localhost:1/cb"])),
        ("Notebook", json!(["http://localhost:1/cb", WEB_CALLBACK, "https://evil.example/"])),
    ] {
        assert_ne!(id(register(&site, public(name, uris.clone())).await), first, "{name} {uris}");
    }
    let other = Site::open_with(|server| {
        let issuer = TokenIssuer::new(site.store.clone(), Keyring::new(KeyId::new(9), MasterKey::from_bytes([9; 32])));
        let resource = ProtectedResource::new("http://localhost/mcp", "notes:read").unwrap();
        drop(server);
        let server = AuthorizationServer::new("http://localhost", issuer.into(), resource, MemoryClients::new(), Pages);
        server.unwrap().with_tls(TlsPolicy::Loopback).with_registration(|_, _| true)
    })
    .await;
    let elsewhere = id(register(&other, public("Notebook", json!(["http://localhost:1/cb", WEB_CALLBACK]))).await);
    assert_ne!(elsewhere, first, "the id cannot be made without the key");
}

/// One client id stands for many installations: the request says on which port the code is awaited.
#[tokio::test]
async fn authorize_sends_the_code_to_the_port_that_asked() {
    let site = Site::open().await;
    let first = site.register("http://127.0.0.1:1001/cb").await;
    assert_eq!(site.register("http://127.0.0.1:1002/cb").await, first);
    let answer = site.authorize(&[("client_id", &first), ("redirect_uri", "http://127.0.0.1:1002/cb")]).await;
    assert!(answer.header("location").starts_with("http://127.0.0.1:1002/cb?code="));
    let refused = site.authorize(&[("client_id", &first), ("redirect_uri", "")]).await;
    assert_eq!((refused.refusal(), refused.header("location")), ((400, "invalid_request".into()), ""));
    let web = site.register(WEB_CALLBACK).await;
    assert!(site.authorize(&[("client_id", &web), ("redirect_uri", "")]).await.header("location").contains("?code="));
}
