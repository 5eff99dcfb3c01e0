//! A new refresh token survives everything odd beside it: the old one is spent.

use http::Response;
use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn refreshed(body: &[u8], content_type: Option<&str>) -> Result<Refreshed, UpstreamError> {
    let mut answer = Response::new(body.to_vec());
    if let Some(content_type) = content_type {
        answer.headers_mut().insert("content-type", content_type.parse().unwrap());
    }
    give(plain(), vec![answer]).refresh()
}

/// The access token, if there is one, and the refresh token.
fn tokens(refreshed: Result<Refreshed, UpstreamError>) -> (Option<String>, Option<String>) {
    let Refreshed { access_token, refresh_token, .. } = refreshed.unwrap();
    (access_token.map(|token| token.expose().to_owned()), refresh_token.map(|token| token.expose().to_owned()))
}

fn both() -> (Option<String>, Option<String>) {
    (Some("new".to_owned()), Some("next".to_owned()))
}

/// Members of every kind with values of every kind, before and after the tokens.
#[test]
fn odd_members_cost_no_token() {
    let names =
        ["token_type", "expires_in", "refresh_token_expires_in", "scope", "ok", "error", "code", "active", "id_token"];
    let values = [
        "null",
        "true",
        "-1",
        "1e999",
        "99999999999999999999999999",
        "0.5",
        r#""""#,
        r#""soon""#,
        "[]",
        r#"["a",1,null]"#,
        "{}",
        r#"{"a":{"b":[1,2]}}"#,
        r#""\ud800""#,
    ];
    let tokens_text = r#""access_token":"new","refresh_token":"next""#;
    for name in names {
        for value in values {
            // Another type than expected is a case of its own, below.
            if name == "token_type" && value != "null" {
                continue;
            }
            let odd = format!(r#""{name}":{value}"#);
            for body in [
                format!("{{{tokens_text},{odd}}}"),
                format!("{{{odd},{tokens_text}}}"),
                format!("{{{odd},{tokens_text},{odd}}}"),
            ] {
                assert_eq!(tokens(refreshed(body.as_bytes(), None)), both(), "{body}");
            }
        }
    }
}

#[test]
fn an_access_token_of_no_use_costs_no_refresh_token() {
    for members in [
        r#""access_token":"new","token_type":"DPoP""#,
        r#""access_token":"new","token_type":7"#,
        r#""access_token":"new","token_type":"""#,
        r#""access_token":null,"token_type":"Bearer""#,
        r#""access_token":"","token_type":"Bearer""#,
        r#""access_token":["new"]"#,
        r#""access_token":"a\r\nb""#,
        r#""access_token":"a","access_token":"b""#,
        r#""token_type":"Bearer""#,
    ] {
        let body = format!(r#"{{{members},"refresh_token":"next","expires_in":60}}"#);
        assert_eq!(tokens(refreshed(body.as_bytes(), None)), (None, Some("next".to_owned())), "{body}");
    }
}

#[test]
fn labels_marks_and_what_follows_cost_no_token() {
    let json = r#"{"access_token":"new","refresh_token":"next"}"#;
    for body in [
        format!("\u{feff}{json}"),
        format!(" \r\n\t{json}\r\n"),
        format!("{json}<!-- served by a -->"),
        format!("{json}{json}"),
        format!("{json}\0\0"),
    ] {
        assert_eq!(tokens(refreshed(body.as_bytes(), None)), both(), "{body:?}");
    }
    let types = [
        None,
        Some("application/json;charset=UTF-8"),
        Some("text/html; charset=iso-8859-1"),
        Some("application/x-www-form-urlencoded"),
        Some("no type at all"),
    ];
    for content_type in types {
        assert_eq!(tokens(refreshed(json.as_bytes(), content_type)), both(), "{content_type:?}");
        let form = b"access_token=new&refresh_token=next";
        assert_eq!(tokens(refreshed(form, content_type)), both(), "{content_type:?}");
    }
}

#[test]
fn another_character_set_costs_no_token() {
    let body = b"{\"team\":\"Caf\xe9\",\"access_token\":\"new\",\"refresh_token\":\"next\"}";
    assert_eq!(tokens(refreshed(body, Some("application/json; charset=iso-8859-1"))), both());
}

/// Everywhere the answer can break off: a whole refresh token is kept, and without one the service is asked again.
#[test]
fn a_broken_end_costs_no_whole_token() {
    let text = r#"{"access_token":"new","refresh_token":"next","scope":"read"}"#;
    for end in 0..text.len() {
        let refreshed = refreshed(&text.as_bytes()[..end], None);
        if end >= text.find(r#","scope""#).unwrap() {
            assert_eq!(tokens(refreshed), both(), "{}", &text[..end]);
        } else {
            assert!(matches!(refreshed, Err(UpstreamError::Uncertain(_))), "{}", &text[..end]);
        }
    }
}

#[test]
fn a_refresh_token_may_be_any_text() {
    for token in ["a b", "ü", "a\nb", &"x".repeat(20_000)] {
        let body = format!(r#"{{"access_token":"new","refresh_token":{}}}"#, serde_json::to_string(token).unwrap());
        assert_eq!(tokens(refreshed(body.as_bytes(), None)), (Some("new".to_owned()), Some(token.to_owned())));
    }
}

#[test]
fn what_is_named_an_error_beside_tokens_is_none_unless_ok_is_false() {
    let body = r#"{"ok":false,"error":"invalid_grant","access_token":"new","refresh_token":"next"}"#;
    assert!(matches!(refreshed(body.as_bytes(), None), Err(UpstreamError::InvalidGrant)));
}

#[test]
fn an_error_status_has_no_tokens() {
    let mut answer = json(r#"{"access_token":"new","refresh_token":"next"}"#);
    *answer.status_mut() = http::StatusCode::BAD_REQUEST;
    assert!(matches!(give(plain(), vec![answer]).refresh(), Err(UpstreamError::Refused { .. })));
}
