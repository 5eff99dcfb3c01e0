//! `/register` (RFC 7591).

use serde_json::{Value, json};

use crate::site::*;
use crate::support::{Fault, Op, START};

async fn register(site: &Site, metadata: Value) -> Answer {
    site.post_as("/register", "application/json", &metadata.to_string()).await
}

#[tokio::test]
async fn a_public_client_is_told_what_was_registered_and_no_secret() {
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

#[tokio::test]
async fn a_client_that_does_not_say_how_it_authenticates_gets_a_secret() {
    let site = Site::open().await;
    let answer = register(&site, json!({ "redirect_uris": [WEB_CALLBACK] })).await;
    let body = answer.json();
    let (id, secret) = (body["client_id"].as_str().unwrap(), body["client_secret"].as_str().unwrap());
    assert_eq!((answer.status, &body["token_endpoint_auth_method"]), (201, &json!("client_secret_basic")));
    assert_eq!(body["client_secret_expires_at"], START + 365 * 24 * 60 * 60, "when the registration ends");
    assert!(body.get("client_name").is_none());
    assert!(secret.len() >= 49 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    let code = site.code(&[("client_id", id), ("redirect_uri", WEB_CALLBACK)]).await;
    let pairs = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", crate::support::VERIFIER)];
    site.post_with("/token", &basic(id, secret), &pairs).await.tokens();
    let records = site.store.journal();
    assert!(!records.is_empty() && records.iter().all(|record| !contains(&record.payload, secret.as_bytes())));
}

#[tokio::test]
async fn no_two_clients_have_anything_secret_in_common() {
    let site = Site::open().await;
    let metadata = json!({ "redirect_uris": [WEB_CALLBACK] });
    let (one, other) = (register(&site, metadata.clone()).await.json(), register(&site, metadata).await.json());
    assert!(one["client_id"] != other["client_id"] && one["client_secret"] != other["client_secret"]);
}

#[tokio::test]
async fn redirect_uris_are_https_or_on_the_users_own_machine() {
    let site = Site::open().await;
    let many: Vec<_> = (0..17).map(|n| format!("https://app.example.com/{n}")).collect();
    for uris in [
        json!([]),
        json!(null),
        json!(["http://app.example.com/"]),
        json!([WEB_CALLBACK, "http://192.168.0.1/"]),
        json!(["com.example.app:/callback"]),
        json!(["javascript:alert(1)"]),
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
async fn a_registered_name_has_nothing_in_it_that_cannot_be_seen() {
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

#[tokio::test]
async fn the_application_says_who_may_register() {
    let site = Site::open().await;
    let request =
        site.request("POST", "/register").header("content-type", "application/json").header("x-unwanted", "1");
    let refused = send(request.body(json!({ "redirect_uris": [WEB_CALLBACK] }).to_string().into()).unwrap()).await;
    assert_eq!(refused.refusal(), (400, "invalid_client_metadata".into()));
    assert_eq!(site.store.journal().len(), 0);
}

#[tokio::test]
async fn a_registration_that_was_not_kept_is_not_confirmed() {
    let site = Site::open().await;
    site.store.fail_every(Op::Commit, Fault::Unavailable);
    register(&site, json!({ "redirect_uris": [WEB_CALLBACK] })).await.assert_unavailable();
    assert_eq!(site.faults(), 1);
}
