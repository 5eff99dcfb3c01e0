//! What a person sees: plain HTML that needs no script, in pages that no other site can frame, style, or post to.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Response, StatusCode};
use maud::{DOCTYPE, Markup, html};
use mcp_token_lifecycle::http::{AuthorizationRequest, RegisteredClient, ResponseBody};
use mcp_token_lifecycle::{Scope, Timestamp, TokenFamily};

use super::users::User;

pub type Page = Response<ResponseBody>;

pub const STYLE: &str = include_str!("style.css");

/// The login form. It posts to the address that it was shown at, and so does every other form here.
pub fn login(csrf: &str, notice: Option<Notice>) -> Page {
    let content = html! {
        p { "This server keeps your notes. Log in to go on." }
        form method="post" {
            input type="hidden" name="csrf" value=(csrf);
            label for="username" { "User name" }
            input #username name="username" autocomplete="username" autocapitalize="none" required autofocus;
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="current-password" required;
            button { "Log in" }
        }
    };
    page("Log in", notice, "", &content)
}

/// Who asks for what, and where the answer goes: everything else about the client is its own word.
pub fn consent(request: &AuthorizationRequest, user: &User, csrf: &str, notice: Option<Notice>) -> Page {
    let (client, redirect) = (name(request.client()), request.redirect_uri());
    let content = html! {
        p { strong { (client) } " asks for access to your notes, " (user.name) "." }
        h2 { "It could then" }
        ul { @for scope in request.scope().iter() { li { (words(scope)) } } }
        h2 { "The answer goes to" }
        p { code { (redirect.origin()) } }
        @if redirect.is_loopback() || redirect.is_private_use() {
            p.warning {
                strong { "That is a program on your own computer." } " Any program could use the name " strong { (client) }
                ". Allow this only if you have just started it yourself."
            }
        }
        form method="post" {
            input type="hidden" name="csrf" value=(csrf);
            button name="consent" value="approve" { "Allow" }
            button.quiet name="consent" value="deny" { "Deny" }
        }
        p { "You can take this back at any time under " a href="/sessions" { "your sessions" } "." }
    };
    page("Allow access?", notice, "", &content)
}

/// The user's families, each with the name of its client and a way to end it.
pub fn sessions(user: &User, csrf: &str, sessions: &[(TokenFamily, String)], notice: Option<Notice>) -> Page {
    let content = html! {
        p { "You are " strong { (user.name) } ". These programs have access to your notes." }
        @if sessions.is_empty() { p { "There are none." } }
        @for (family, client) in sessions {
            @let id = family.id().to_string();
            section aria-labelledby=(id) {
                h2 id=(id) { (client) }
                dl {
                    dt { "Client" } dd { code { (family.grant().client_id()) } }
                    dt { "May" } dd { (all_words(family.grant().scope())) }
                    dt { "Since" } dd { (time(family.created_at())) }
                    dt { "Last used" } dd { (time(family.last_used_at())) }
                    dt { "Generation" } dd { (family.generation()) }
                    dt { "Ends" } dd { (time(family.absolute_expires_at())) }
                }
                form method="post" {
                    input type="hidden" name="csrf" value=(csrf);
                    input type="hidden" name="family" value=(id);
                    button aria-describedby=(id) { "Revoke" }
                }
            }
        }
        form method="post" {
            input type="hidden" name="csrf" value=(csrf);
            button.quiet name="logout" value="yes" { "Log out" }
        }
    };
    page("Your sessions", notice, "; form-action 'self'", &content)
}

/// What went wrong, and the status that says the same.
pub type Notice = (StatusCode, &'static str);

/// A page under a policy with `directives` besides those of every page.
///
/// `form-action` is none of those: Chromium holds every redirect after a form to it, and the pages of an authorization end in a
/// redirect to a client, whose callback may redirect on to anywhere.
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

pub fn name(client: &RegisteredClient) -> &str {
    client.metadata().name.as_deref().unwrap_or("A program without a name")
}

fn words(scope: &str) -> &str {
    match scope {
        "notes:read" => "see your name and read your notes",
        "notes:write" => "add notes in your name",
        other => other,
    }
}

fn all_words(scope: &Scope) -> String {
    scope.iter().map(words).collect::<Vec<_>>().join("; ")
}

fn time(at: Timestamp) -> Markup {
    let exact = at.to_string();
    html! { time datetime=(exact) { (exact.replace('T', " ").replace('Z', " UTC")) } }
}
