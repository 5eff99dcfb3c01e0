//! The HTML pages. They need no script, and other sites cannot frame them, style them, or post to them.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Response, StatusCode};
use maud::{DOCTYPE, Markup, html};
use mcp_token_lifecycle::http::{AuthorizationRequest, RegisteredClient, ResponseBody};
use mcp_token_lifecycle::{Scope, Timestamp, TokenFamily};

use super::relative_time;
use super::users::User;

pub type Page = Response<ResponseBody>;

pub const STYLE: &str = include_str!("style.css");

/// Builds the login page. It names the client that requests access, if there is one. After a wrong password it keeps the user
/// name. Each form posts to the URL of its page.
pub fn login(client: Option<&str>, username: &str, csrf: &str, notice: Option<Notice>) -> Page {
    let is_first = username.is_empty();
    let content = html! {
        @if let Some(client) = client {
            p { strong { (client) } " asks for access to your notes. Log in to Notes to review the request." }
        } @else {
            p { "Log in to Notes to see which programs have access to your notes." }
        }
        form method="post" {
            input type="hidden" name="csrf" value=(csrf);
            label for="username" { "User name" }
            input #username name="username" value=(username) autocomplete="username" autocapitalize="none" required
                autofocus[is_first];
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="current-password" required
                autofocus[!is_first];
            button { "Log in" }
        }
    };
    page("Log in", notice, "", &content)
}

/// Builds the consent page. It shows the client, the requested permissions, and the destination of the answer. The server cannot
/// verify other statements of the client, so the page omits them.
pub fn consent(request: &AuthorizationRequest, user: &User, csrf: &str, notice: Option<Notice>) -> Page {
    let (client, redirect) = (name(request.client()), request.redirect_uri());
    let content = html! {
        p { strong { (client) } " asks for access to your notes. You are logged in as " (user.name) "." }
        h2 { "If you allow it, the program can" }
        ul { @for scope in request.scope().iter() { li { (describe(scope)) } } }
        h2 { "Your answer is sent to" }
        p { code { (redirect.origin()) } }
        @if redirect.is_loopback() || redirect.is_private_use() {
            p.warning {
                strong { "This address belongs to a program on your own computer." } " Any program could use the name "
                strong { (client) } ". Allow this only if you have just started the program yourself."
            }
        }
        form method="post" {
            input type="hidden" name="csrf" value=(csrf);
            button name="consent" value="approve" { "Allow" }
            button.quiet name="consent" value="deny" { "Deny" }
        }
        p { "You can revoke the access at any time on the page " a href="/sessions" { "Your sessions" } "." }
    };
    page("Allow access?", notice, "", &content)
}

/// A session of an MCP client, as the page shows it.
pub struct Session {
    pub family: TokenFamily,
    /// The name of its client.
    pub client: String,
    /// Identifies the session in its form.
    pub handle: String,
}

/// Builds the page of the user's sessions at the time `now`. Each entry has the name of its client and a button that revokes it.
pub fn sessions(user: &User, csrf: &str, sessions: &[Session], now: Timestamp, notice: Option<Notice>) -> Page {
    let content = html! {
        form.account method="post" {
            span { "Logged in as " strong { (user.name) } }
            input type="hidden" name="csrf" value=(csrf);
            button.quiet name="logout" value="yes" { "Log out" }
        }
        @if sessions.is_empty() {
            p { "No program has access to your notes." }
            p { "A program that you allow to use your notes appears here. You can then revoke its access at any time." }
        } @else {
            p { "These programs have access to your notes." }
        }
        @for (number, Session { family, client, handle }) in sessions.iter().enumerate() {
            @let heading = format!("session-{number}");
            section aria-labelledby=(heading) {
                h2 id=(heading) { (client) }
                dl {
                    dt { "Can" } dd { (describe_all(family.grant().scope())) }
                    dt { "Access since" } dd { (time(family.created_at(), now)) }
                    dt { "Last used" } dd { (time(family.last_used_at(), now)) }
                    dt { "Access ends" } dd { (time(family.absolute_expires_at(), now)) }
                }
                form method="post" {
                    input type="hidden" name="csrf" value=(csrf);
                    input type="hidden" name="session" value=(handle);
                    button.quiet aria-describedby=(heading) { "Revoke" }
                }
            }
        }
    };
    page("Your sessions", notice, "; form-action 'self'", &content)
}

/// A message about a failed request, with the status of the response.
pub type Notice = (StatusCode, &'static str);

/// Builds a page. `directives` are added to the Content-Security-Policy that all pages have.
///
/// The common policy has no `form-action`, because Chromium applies it to each redirect after a form. The pages of an
/// authorization end in a redirect to a client, whose callback may redirect to any other site.
fn page(title: &str, notice: Option<Notice>, directives: &str, content: &Markup) -> Page {
    let (status, notice) = notice.map_or((StatusCode::OK, None), |(status, text)| (status, Some(text)));
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – Notes" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header { "Notes" }
                main {
                    h1 { (title) }
                    @if let Some(notice) = notice { p.warning role="alert" { (notice) } }
                    (content)
                }
            }
        }
    };
    let policy = format!("default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'{directives}");
    let mut page = Response::new(ResponseBody::from(document.into_string()));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    page
}

/// Returns the name of a client for the pages. The client chooses this name, so the pages isolate its text direction.
pub fn name(client: &RegisteredClient) -> &str {
    client.metadata().name.as_deref().unwrap_or("An unnamed program")
}

fn describe(scope: &str) -> &str {
    match scope {
        "notes:read" => "see your name and read your notes",
        "notes:write" => "add notes in your name",
        other => other,
    }
}

fn describe_all(scope: &Scope) -> String {
    scope.iter().map(describe).collect::<Vec<_>>().join("; ")
}

/// Shows a time as a distance from `now`, which reads the same in each time zone. The title has the exact time.
fn time(at: Timestamp, now: Timestamp) -> Markup {
    let exact = at.to_string();
    html! { time datetime=(exact) title=(exact.replace('T', " ").replace('Z', " UTC")) { (relative_time::describe(at, now)) } }
}
