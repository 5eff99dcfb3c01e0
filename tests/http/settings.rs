//! A setting that could only fail later is refused at once, and the error says which, what it must be, and what it is.

use std::sync::Arc;

use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{MemoryStore, TokenIssuer};

use crate::site::*;
use crate::support::keyring;

fn resource() -> ProtectedResource {
    ProtectedResource::new("https://mcp.example.com/mcp", "notes:admin notes:read notes:write").unwrap()
}

fn server() -> AuthorizationServer<MemoryStore> {
    let issuer = Arc::new(TokenIssuer::new(MemoryStore::new(), keyring()));
    let mcp = resource().with_broad_scope("notes:admin", "notes:purge").unwrap();
    AuthorizationServer::new("https://mcp.example.com", issuer, mcp, MemoryClients::new(), Pages).unwrap()
}

#[track_caller]
fn refused<T>(made: Result<T, ConfigError>, expected: &str) {
    assert_eq!(made.err().map(|error| error.to_string()).as_deref(), Some(expected));
}

#[test]
fn issuer_and_resource_errors_name_what_was_given() {
    let issuer = Arc::new(TokenIssuer::new(MemoryStore::new(), keyring()));
    for (given, shown) in [
        ("http://mcp.example.com", "\"http://mcp.example.com\""),
        ("https://user:secret@a/", "\"https://..@a/\""),
        ("https://a/?key=secret", "\"https://a/?..\""),
        ("mcp.example.com", "15 bytes without a scheme"),
    ] {
        let made = AuthorizationServer::new(given, Arc::clone(&issuer), resource(), MemoryClients::new(), Pages);
        let must_be = "must be an https URL, or http on a loopback host, without query and fragment";
        refused(made, &format!("the issuer {must_be}, got {shown}"));
        refused(ProtectedResource::new(given, "notes:read"), &format!("a resource {must_be}, got {shown}"));
    }
}

#[test]
fn resource_with_more_scopes_than_a_grant_holds_is_refused() {
    let scopes: Vec<_> = (0..120).map(|n| format!("project-{n:03}:read")).collect();
    refused(
        ProtectedResource::new("https://mcp.example.com/mcp", &scopes.join(" ")),
        "identifier and scopes of resource \"https://mcp.example.com/mcp\" must have at most 1024 bytes together, got 2066 with 120 scopes",
    );
    assert!(ProtectedResource::new("https://mcp.example.com/mcp", &scopes[..50].join(" ")).is_ok());
    let long = format!("https://mcp.example.com/{}", "a".repeat(1024));
    assert!(matches!(
        ProtectedResource::new(&long, "a"),
        Err(ConfigError::ResourceTooLong { bytes: 1049, count: 1, .. })
    ));
}

#[test]
fn scope_errors_name_the_setting_and_the_scope() {
    let of = "the scopes of resource \"https://a/mcp\"";
    let new = |scopes| ProtectedResource::new("https://a/mcp", scopes);
    refused(new(" "), &format!("{of} must name at least one scope, got none"));
    let printable = "must be printable ASCII without blanks, quotation marks and backslashes";
    refused(new("notes:read notes:\"w\""), &format!("{of} {printable}, got \"notes:\\\"w\\\"\""));
    refused(new("a offline_access"), &format!("{of} must not name offline_access, which is no scope of a resource"));
    for broad in ["notes: all", "é", " a"] {
        let made = resource().with_broad_scope(broad, "notes:read");
        assert!(made.unwrap_err().to_string().starts_with(&format!("a broad scope {printable}, got \"")), "{broad}");
    }
    refused(resource().with_broad_scope("", "notes:read"), "a broad scope must name at least one scope, got none");
    let narrow = resource().with_broad_scope("notes:admin", "é");
    refused(narrow, &format!("what the broad scope notes:admin stands for {printable}, got \"é\""));
    refused(server().bearer().require_scope("notes:\\"), &format!("a required scope {printable}, got \"notes:\\\\\""));
    refused(server().bearer().tools([("t", "a é")]), &format!("the scope of tool \"t\" {printable}, got \"é\""));
    let twice = server().bearer().tools([("t", "notes:read"), ("t", "notes:write")]);
    refused(twice, "tool \"t\" must be named once, got it twice");
}

#[test]
fn redirect_uri_that_fits_into_no_request_is_refused() {
    let uri = |length: usize| format!("https://a/{}", "b".repeat(length - 10));
    assert!(RedirectUri::parse(&uri(RedirectUri::MAX_BYTES)).is_some());
    assert!(RedirectUri::parse(&uri(RedirectUri::MAX_BYTES + 1)).is_none());
    let app = |length: usize| format!("cursor://{}", "b".repeat(length - 9));
    assert!(RedirectUri::parse_private_use(&app(RedirectUri::MAX_BYTES)).is_some());
    assert!(RedirectUri::parse_private_use(&app(RedirectUri::MAX_BYTES + 1)).is_none());
}
