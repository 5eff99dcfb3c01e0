//! More scopes where certain tools are called (MCP "Scope Challenge Handling").

use axum::body::Body;
use axum::http::{Request, Response};
use mcp_token_lifecycle::http::ToolScopeLayer;
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};

use crate::site::*;

const DELETE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_note"}}"#;
const READ: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"read_note"}}"#;

async fn message(site: &Site, method: &str, token: &str, body: impl Into<Body>) -> Answer {
    let request = site.request(method, "/tools").header("authorization", format!("Bearer {token}"));
    send(request.body(body.into()).unwrap()).await
}

/// The scopes that a challenge asks for.
#[track_caller]
fn asked(answer: &Answer) -> String {
    assert_eq!(answer.refusal(), (403, "insufficient_scope".into()));
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.contains("resource_metadata=\"http://")
            && challenge.starts_with("Bearer error=\"insufficient_scope\", ")
    );
    challenge.split("scope=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// spec: MCP authorization §Runtime Insufficient Scope Errors a
/// spec: MCP authorization §Runtime Insufficient Scope Errors b
#[tokio::test]
async fn tool_call_without_scope_is_403_naming_all_scopes() {
    let site = Site::open().await;
    let (reader, writer) =
        (site.login_for("notes:read").await.access, site.login_for("notes:read notes:write").await.access);
    assert_eq!(asked(&message(&site, "POST", &reader, DELETE).await), "notes:read notes:write");
    let both = format!("[{DELETE},{}]", DELETE.replace("delete_note", "drop_all"));
    assert_eq!(asked(&message(&site, "POST", &reader, both.clone()).await), "notes:admin notes:read notes:write");
    assert_eq!(asked(&message(&site, "POST", &writer, both).await), "notes:admin notes:read notes:write");
    assert_eq!(site.reached(), 0);
}

/// spec: MCP authorization §Step-Up Authorization Flow
#[tokio::test]
async fn tool_call_with_scope_arrives_unchanged() {
    let site = Site::open().await;
    for scope in ["notes:read notes:write", "notes:admin"] {
        let token = site.login_for(scope).await.access;
        let answer = message(&site, "POST", &token, DELETE).await;
        let seen: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, &seen["body"], &seen["subject"]), (200, &DELETE.into(), &"user-1".into()));
    }
}

#[tokio::test]
async fn tool_scopes_are_not_needed_by_other_messages() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    let other_name = json!({ "method": "prompts/get", "params": { "name": "delete_note" } }).to_string();
    for body in [
        READ,
        &format!("[{READ},{READ}]"),
        &other_name,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}"#,
        r#"{"jsonrpc":"2.0","id":"tools/call","result":{"name":"delete_note"}}"#,
        "[]",
    ] {
        assert_eq!(message(&site, "POST", &token, body.to_owned()).await.status, 200, "{body}");
    }
    for method in ["GET", "DELETE", "POST"] {
        assert_eq!(message(&site, method, &token, Body::empty()).await.status, 200, "{method}");
    }
}

#[tokio::test]
async fn tool_call_in_batch_escape_or_other_method_is_checked() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    for (method, body) in [
        ("POST", format!("[{READ},{DELETE}]")),
        ("POST", format!(" \t\r\n[{DELETE}]")),
        ("POST", DELETE.replace("tools/call", r"tools\/c\u0061ll")),
        ("POST", DELETE.replace("\"method\"", "\"m\\u0065thod\"")),
        ("PUT", DELETE.into()),
        ("GET", DELETE.into()),
        ("PURGE", DELETE.into()),
    ] {
        assert_eq!(message(&site, method, &token, body.clone()).await.status, 403, "{method} {body}");
    }
    assert_eq!(site.reached(), 0);
}

#[tokio::test]
async fn tool_message_that_is_ambiguous_is_400() {
    let site = Site::open().await;
    let token = site.login_for("notes:admin").await.access;
    for body in [
        r#"{"method":"tools/list","method":"tools/call","params":{"name":"delete_note"}}"#.into(),
        r#"{"method":"tools/call","method":"tools/list","params":{"name":"delete_note"}}"#.into(),
        r#"{"method":"tools/call","params":{"name":"read_note","name":"delete_note"}}"#.into(),
        r#"{"method":"tools/call","params":{"name":"read_note"},"params":{"name":"delete_note"}}"#.into(),
        r#"{"method":"tools/list","Method":"tools/call","params":{"name":"delete_note"}}"#.into(),
        r#"{"method":"tools/call","params":{"name":"read_note"},"paramſ":{"name":"delete_note"}}"#.into(),
        r#"{"method":"tools/call","params":{"name":"read_note","NAME":"delete_note"}}"#.into(),
        r#"{"method":"tools/call","params":["delete_note"]}"#.into(),
        r#"{"method":"tools/call","params":{"name":["delete_note"]}}"#.into(),
        r#"{"method":"tools/call","params":{}}"#.into(),
        r#"{"method":"tools/call"}"#.into(),
        r#"{"method":["tools/call"],"params":{"name":"delete_note"}}"#.into(),
        format!("[null,{DELETE}]"),
        format!("[\"tools/list\",{DELETE}]"),
        format!("[[{DELETE}]]"),
        format!("{READ}{DELETE}"),
        format!("{READ}\n{DELETE}\n"),
        format!("\u{feff}{DELETE}"),
        format!("// comment\n{DELETE}"),
        DELETE.replace('"', "'"),
        DELETE[..DELETE.len() - 1].into(),
        "\"tools/call\"".into(),
        "[".repeat(200),
        DELETE.replace("\"method\"", "\"METHOD\""),
        DELETE.replace("\"method\"", "\"m\\u0065thod\":\"tools/list\",\"method\""),
        DELETE.replace("\"name\"", "\"n\\u0061me\":\"read_note\",\"name\""),
        DELETE.replace("\"params\"", "\"p\\u0061rams\":{\"name\":\"read_note\"},\"params\""),
        DELETE.replace("delete_note", "\\ud83e"),
        DELETE.replace("delete_note\"", &format!("read_note\",\"arguments\":{}1{}", "[".repeat(130), "]".repeat(130))),
        DELETE.replace("delete_note\"", "read_note\",\"arguments\":{\"a\":01}"),
        DELETE.replace("delete_note\"", "read_note\",\"arguments\":\"\u{1}\""),
    ] {
        let refused = message(&site, "POST", &token, body.clone()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".into()), "{body}");
    }
    let utf16: Vec<u8> = DELETE.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(message(&site, "POST", &token, utf16).await.status, 400);
    assert_eq!(site.reached(), 0);
}

#[tokio::test]
async fn tool_batch_over_128_messages_is_400() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    let batch = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    assert_eq!(message(&site, "POST", &token, batch(128)).await.status, 200);
    assert_eq!(message(&site, "POST", &token, batch(129)).await.refusal(), (400, "invalid_request".into()));
    let hidden = batch(128).replace("{}]", &format!("{{}},{DELETE}]"));
    assert_eq!(message(&site, "POST", &token, hidden).await.status, 400);
}

#[tokio::test]
async fn unlisted_tools_are_403_with_unlisted_refused() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    let bearer = site.server.bearer_live().require_scope("notes:read").unwrap();
    let tools = bearer.tools([("read_note", ""), ("delete_note", "notes:write")]).unwrap();
    let inner =
        service_fn(|_: Request<Body>| async { Ok::<_, std::convert::Infallible>(Response::new(Body::empty())) });
    let call = async |layer: &ToolScopeLayer, body: &str| {
        let request = site.request("POST", "/").header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = bearer.layer(layer.layer(inner)).oneshot(request).await.unwrap();
        (answer.status().as_u16(), answer.headers().contains_key("www-authenticate"))
    };
    let unlisted = READ.replace("read_note", "drop_all");
    let long = READ.replace("read_note", &"n".repeat(1000));
    for body in [&unlisted, &long, &format!("[{READ},{unlisted}]"), &READ.replace("read_note", "Read_note")] {
        assert_eq!(call(&tools, body).await, (200, false), "{body:.100}");
        assert_eq!(call(&tools.clone().with_unlisted_refused(), body).await, (403, false), "{body:.100}");
    }
    let too_long = READ.replace("read_note", &"n".repeat(1025));
    assert_eq!(call(&tools, &too_long).await, (400, false), "no name of a tool");
    let strict = tools.with_unlisted_refused();
    assert_eq!(call(&strict, READ).await, (200, false));
    assert_eq!(call(&strict, &READ.replace("read_note", "re\\u0061d_note")).await, (200, false));
    assert_eq!(call(&strict, DELETE).await, (403, true), "a scope would help");
    assert_eq!(call(&strict, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await, (200, false));
}

#[tokio::test]
async fn tool_message_over_the_limit_is_413() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    let padded = |length: usize| format!("{READ}{}", " ".repeat(length - READ.len()));
    assert_eq!(message(&site, "POST", &token, padded(1024)).await.status, 200);
    assert_eq!(message(&site, "POST", &token, padded(1025)).await.refusal(), (413, "invalid_request".into()));
    assert_eq!(message(&site, "POST", &token, streamed(&padded(1025))).await.status, 413);
    assert_eq!(message(&site, "POST", &token, streamed(&padded(1024))).await.status, 200);
    assert_eq!(site.reached(), 2);
}

#[tokio::test]
async fn tool_layer_without_bearer_layer_refuses_all() {
    let site = Site::open().await;
    let request =
        site.request("POST", "/unguarded").header("authorization", format!("Bearer {}", site.login().await.access));
    let refused = send(request.body(READ.into()).unwrap()).await;
    assert_eq!((refused.refusal(), site.reached()), ((401, "invalid_token".into()), 0));
}
