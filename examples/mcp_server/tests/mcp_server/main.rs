//! The example MCP server over real HTTP: its pages as a browser meets them, its tools as a client does.

#[path = "../../src/app.rs"]
mod app;
#[path = "../../src/consent.rs"]
mod consent;
#[path = "../../src/demo/mod.rs"]
mod demo;
#[path = "../../src/login.rs"]
mod login;
#[path = "../../src/pages.rs"]
mod pages;
#[path = "../../src/relative_time.rs"]
mod relative_time;
#[path = "../../src/server.rs"]
mod server;
#[path = "../../src/session.rs"]
mod session;
mod site;
#[path = "../../src/tools.rs"]
mod tools;
#[path = "../../src/users.rs"]
mod users;
#[path = "../../src/your_sessions.rs"]
mod your_sessions;

use std::sync::Arc;

use mcp_token_lifecycle::{RedbStore, Timestamp, TokenIssuer};
use reqwest::header::{LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use reqwest::{Client, StatusCode};
use serde_json::json;
use server::keyring;
use site::{Browser, REDIRECT, Site, between, header, location, parameter, said};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn login_with_a_wrong_password_is_refused() {
    let (site, mallory) = (Site::open().await, Browser::of("alice", "builder"));
    let (url, _) = site.authorization("notes:read");
    let refused = mallory.log_in(&url).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.text().await.unwrap().contains("role=\"alert\""));
    for page in [url, site.url("/sessions")] {
        assert!(mallory.text(&page).await.contains("name=\"password\""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_page_names_product_and_client() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let page = alice.text(&site.authorization("notes:read").0).await;
    assert!(page.contains("<header>Notes</header>") && page.contains("Log in to Notes to review"));
    assert!(page.contains("<strong>Notes &lt;b&gt;for&lt;/b&gt; you</strong> asks for access"));
}

#[tokio::test(flavor = "multi_thread")]
async fn login_keeps_the_user_name_after_a_wrong_password() {
    let (site, browser) = (Site::open().await, Browser::of("\"><b>alice", "builder"));
    let page = browser.log_in(&site.url("/sessions")).await.text().await.unwrap();
    assert!(page.contains("name=\"username\" value=\"&quot;&gt;&lt;b&gt;alice\""), "{page}");
    assert!(!page.contains("builder"), "the password is not in the page");
}

#[tokio::test(flavor = "multi_thread")]
async fn login_drops_the_user_name_of_a_forged_form() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let page = alice.post(&site.url("/sessions"), &alice.login).await.text().await.unwrap();
    assert!(page.contains("name=\"username\" value=\"\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_page_names_client_user_scopes_and_redirect() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let page = alice.log_in(&site.authorization("notes:read").0).await.text().await.unwrap();
    assert!(page.contains("Notes &lt;b&gt;for&lt;/b&gt; you"), "the client's words are words: {page}");
    assert!(page.contains("Alice") && page.contains("read your notes"));
    assert!(!page.contains("add notes"), "not asked for");
    assert!(page.contains("<code>http://127.0.0.1:7777</code>") && page.contains("a program on your own computer"));
    assert!(!page.contains("<b>"));
    for inline in ["<script", "style=", "onclick", "javascript:"] {
        assert!(!page.contains(inline), "the policy forbids {inline}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn csrf_token_missing_or_foreign_is_403_and_changes_nothing() {
    let (site, alice, bob) = (Site::open().await, Browser::alice(), Browser::of("bob", "builder"));
    let tokens = site.tokens(&alice, "notes:read").await;
    let (url, sessions) = (site.authorization("notes:read").0, site.url("/sessions"));
    let session = between(&alice.text(&sessions).await, "name=\"session\" value=\"").unwrap();
    let others = between(&bob.text(&url).await, "name=\"csrf\" value=\"").unwrap();

    let stranger = Browser::alice();
    for csrf in [&[][..], &[("csrf", "")], &[("csrf", "x")], &[("csrf", &*others)]] {
        let login = stranger.post(&url, &[csrf, &stranger.login].concat()).await;
        assert_eq!(login.status(), StatusCode::FORBIDDEN);
        assert!(stranger.text(&url).await.contains("name=\"password\""), "a forged login");
        let consent = alice.post(&url, &[csrf, &[("consent", "approve")]].concat()).await;
        assert_eq!((consent.status(), header(consent.headers(), LOCATION)), (StatusCode::FORBIDDEN, ""));
        for field in [("session", &*session), ("logout", "yes")] {
            assert_eq!(alice.post(&sessions, &[csrf, &[field]].concat()).await.status(), StatusCode::FORBIDDEN);
        }
    }
    assert!(alice.text(&sessions).await.contains(&session));
    assert!(site.whoami(&tokens).await.contains("Alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn authorize_returns_access_denied_on_refusal() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let (url, _) = site.authorization("notes:read");
    alice.log_in(&url).await;
    let back = location(&alice.submit(&url, &[("consent", "deny")]).await);
    assert!(back.as_str().starts_with(REDIRECT));
    let parameters = ["error", "state", "iss", "code"].map(|name| parameter(&back, name));
    let expected = [Some("access_denied".into()), Some("a b".into()), Some(site.url.clone()), None];
    assert_eq!(parameters, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_cookie_is_http_only_and_changes_at_login() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let (url, _) = site.authorization("notes:read");
    let first = header(alice.get(&url).await.headers(), SET_COOKIE).to_owned();
    let login = alice.log_in(&url).await;
    let second = header(login.headers(), SET_COOKIE);
    for cookie in [&first, second] {
        assert!(cookie.starts_with("session=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    }
    assert_ne!(first, second, "or an attacker who planted the first id would be logged in now");
    assert!(alice.get(&url).await.headers().get(SET_COOKIE).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_the_cookie_belongs_to_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("tokens.redb")).unwrap();
    let issuer = TokenIssuer::new(store, keyring(&folder.path().join("keys")).unwrap());
    let router = app::router(Arc::new(issuer), "https://notes.example").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sessions", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let page = Browser::alice().get(&url).await;
    let cookie = header(page.headers(), SET_COOKIE);
    assert!(cookie.starts_with("__Host-session=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
}

#[tokio::test(flavor = "multi_thread")]
async fn page_headers_forbid_framing_caching_and_sniffing() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let (url, _) = site.authorization("notes:read");
    let (login, consent) = (alice.get(&url).await, alice.log_in(&url).await);
    let sessions = alice.get(&site.url("/sessions")).await;
    // Chromium holds each redirect to the client, and on from there, to `form-action`.
    for (page, more) in [(login, ""), (consent, ""), (sessions, "; form-action 'self'")] {
        let headers = page.headers();
        let policy = format!("default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'{more}");
        assert_eq!(header(headers, "content-security-policy"), policy);
        assert_eq!(header(headers, "cache-control"), "no-store");
        assert_eq!(header(headers, "x-content-type-options"), "nosniff");
        assert_eq!(header(headers, "referrer-policy"), "same-origin");
    }
    let style = alice.get(&site.url("/style.css")).await;
    assert_eq!(header(style.headers(), "content-type"), "text/css");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_page_reaches_the_mcp_server_past_its_preflight() {
    let site = Site::open().await;
    let ask = |method, path: &str| {
        let request = Client::new().request(method, site.url(path)).header("origin", "https://app.example.com");
        request.header("access-control-request-method", "POST").send()
    };
    let preflight = ask(reqwest::Method::OPTIONS, "/mcp").await.unwrap();
    let allowed =
        ["access-control-allow-origin", "access-control-allow-methods"].map(|name| header(preflight.headers(), name));
    assert_eq!((preflight.status(), allowed), (StatusCode::NO_CONTENT, ["*", "POST"]));
    let refused = ask(reqwest::Method::POST, "/mcp").await.unwrap();
    assert_eq!(
        (refused.status(), header(refused.headers(), "access-control-allow-origin")),
        (StatusCode::UNAUTHORIZED, "*")
    );
    assert!(header(refused.headers(), "access-control-expose-headers").contains("www-authenticate"));
    let page = ask(reqwest::Method::OPTIONS, "/sessions").await.unwrap();
    assert!(!page.headers().contains_key("access-control-allow-origin"), "what reads a cookie is for no other site");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_page_lists_grants_and_revokes_one_alone() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let sessions = site.url("/sessions");
    alice.log_in(&sessions).await;
    assert!(alice.text(&sessions).await.contains("No program has access to your notes."));
    let kept = site.tokens(&alice, "notes:read").await;
    let before = between(&alice.text(&sessions).await, "name=\"session\" value=\"").unwrap();
    let revoked = site.tokens(&alice, "notes:read notes:write").await;
    let page = alice.text(&sessions).await;
    assert!(page.contains("Notes &lt;b&gt;for&lt;/b&gt; you") && !page.contains(&site.client_id));
    assert!(page.contains("see your name and read your notes; add notes in your name"));

    let mut handles = page.split("name=\"session\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let other = handles.find(|handle| *handle != before).unwrap();
    let answer = alice.submit(&sessions, &[("session", other)]).await;
    assert_eq!((answer.status(), header(answer.headers(), LOCATION)), (StatusCode::SEE_OTHER, "/sessions"));
    let page = alice.text(&sessions).await;
    assert!(page.contains(&before) && !page.contains(other));
    assert_eq!(site.call(&revoked, "whoami", json!({})).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(site.refresh(&revoked).await.1["error"], "invalid_grant");
    assert_eq!(site.refresh(&kept).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_page_shows_relative_times() {
    let (site, alice) = (Site::open().await, Browser::alice());
    site.tokens(&alice, "notes:read").await;
    let page = alice.text(&site.url("/sessions")).await;
    assert!(page.contains("<time datetime=\"20") && page.contains("Z\" title=\"20"), "{page}");
    assert!(page.contains(" UTC\">just now</time>") && page.contains(" UTC\">in "), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_page_has_no_internal_id() {
    let (site, alice) = (Site::open().await, Browser::alice());
    site.tokens(&alice, "notes:read").await;
    let page = alice.text(&site.url("/sessions")).await;
    assert!(page.contains("Revoke") && !page.contains(&site.client_id));
    assert!(!page.contains(users::authenticate("alice", "wonderland").unwrap().id));
    let longest = page.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max();
    assert!(longest < Some(16), "the id of a family has 32 hexadecimal digits: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_page_neither_shows_nor_revokes_those_of_others() {
    let (site, alice, bob) = (Site::open().await, Browser::alice(), Browser::of("bob", "builder"));
    let sessions = site.url("/sessions");
    let tokens = site.tokens(&alice, "notes:read").await;
    let handle = between(&alice.text(&sessions).await, "name=\"session\" value=\"").unwrap();
    bob.log_in(&sessions).await;
    assert!(!bob.text(&sessions).await.contains(&handle));
    bob.submit(&sessions, &[("session", &handle)]).await;
    assert!(site.whoami(&tokens).await.contains("Alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_ends_the_login_and_keeps_the_clients() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let sessions = site.url("/sessions");
    let tokens = site.tokens(&alice, "notes:read").await;
    alice.submit(&sessions, &[("logout", "yes")]).await;
    assert!(alice.text(&sessions).await.contains("name=\"password\""));
    assert!(site.whoami(&tokens).await.contains("Alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_call_without_scope_is_403_naming_all_scopes() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let tokens = site.tokens(&alice, "notes:read").await;
    let refused = site.call(&tokens, "add_note", json!({ "text": "Buy milk" })).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let challenge = header(refused.headers(), WWW_AUTHENTICATE);
    let start = "Bearer error=\"insufficient_scope\", scope=\"notes:read notes:write\", resource_metadata=\"";
    assert!(challenge.starts_with(start), "{challenge}");

    let tokens = site.tokens(&alice, "notes:read notes:write").await;
    for count in 1..=2 {
        let answer = said(site.call(&tokens, "add_note", json!({ "text": "Buy milk" })).await).await;
        assert!(answer.contains("Alice") && answer.ends_with(&format!("{count}.")), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_keeps_client_keys_and_family() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let tokens = site.tokens(&alice, "notes:read").await;
    let site = site.restart().await;
    assert!(site.whoami(&tokens).await.contains("Alice"));
    let (status, next) = site.refresh(&tokens).await;
    assert_eq!(status, StatusCode::OK, "client, keys and family are still known");
    assert!(site.whoami(&next).await.contains("Alice"));
    let sessions = site.url("/sessions");
    alice.log_in(&sessions).await;
    assert!(alice.text(&sessions).await.contains("Notes &lt;b&gt;for&lt;/b&gt; you"));
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_runs_without_error() {
    demo::demo().await.unwrap();
}

#[test]
fn relative_time_is_rounded_in_the_largest_unit() {
    let now = Timestamp::from_unix(1_000_000_000);
    let (minute, hour, day) = (60, 3_600, 86_400);
    let cases = [
        (0, "just now", "just now"),
        (minute - 1, "just now", "in less than a minute"),
        (minute, "1 minute ago", "in 1 minute"),
        (hour - 1, "60 minutes ago", "in 60 minutes"),
        (2 * hour, "2 hours ago", "in 2 hours"),
        (23 * hour + 5, "23 hours ago", "in 23 hours"),
        (day, "1 day ago", "in 1 day"),
        (30 * day - 5, "30 days ago", "in 30 days"),
    ];
    for (distance, past, future) in cases {
        assert_eq!(relative_time::describe(Timestamp::from_unix(now.as_unix() - distance), now), past);
        assert_eq!(relative_time::describe(Timestamp::from_unix(now.as_unix() + distance), now), future);
    }
}

#[cfg(unix)]
#[test]
fn keyring_file_is_0600_and_is_reused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    keyring(&file).unwrap();
    let first = std::fs::read(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    keyring(&file).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), first);
}
