//! Odd values in an answer that is otherwise good.

use std::time::Duration;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn refreshed(members: &str) -> Result<Refreshed, UpstreamError> {
    let body = format!(r#"{{"access_token":"new","token_type":"Bearer"{members}}}"#);
    give(plain(), vec![json(&body)]).refresh()
}

#[test]
fn the_example_of_the_rfc_is_read() {
    let refreshed = play(plain(), &["rfc_refreshed"]).refresh().unwrap();
    assert_eq!(refreshed.access_token.unwrap().expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "tGzv3JOkF0XG5Qx2TlKWIA");
    assert_eq!(refreshed.expires_in, Some(Duration::from_secs(3_600)));
    assert_eq!(refreshed.scope, Some(scope("read write")));
}

#[test]
fn a_lifetime_has_one_meaning_however_absurd_it_is() {
    const FOR_EVER: u64 = u64::MAX;
    for (value, seconds) in [
        ("3600", Some(3_600)),
        (r#""3600""#, Some(3_600)),
        (r#"" 3600 ""#, Some(3_600)),
        ("3599.9", Some(3_599)),
        ("3.6e3", Some(3_600)),
        ("0", Some(0)),
        ("-1", Some(0)),
        ("-1e300", Some(0)),
        ("18446744073709551615", Some(FOR_EVER)),
        ("99999999999999999999999999", Some(FOR_EVER)),
        ("1e300", Some(FOR_EVER)),
        ("1e999", Some(FOR_EVER)),
        ("-1e999", Some(0)),
        (r#""inf""#, Some(FOR_EVER)),
        (r#""NaN""#, Some(0)),
        (r#""soon""#, Some(0)),
        ("true", Some(0)),
        ("[3600]", Some(0)),
        ("{}", Some(0)),
        (r#""""#, None),
        ("null", None),
    ] {
        let refreshed = refreshed(&format!(r#","expires_in":{value}"#)).unwrap();
        assert_eq!(refreshed.expires_in, seconds.map(Duration::from_secs), "{value}");
    }
}

#[test]
fn an_unreadable_lifetime_does_not_end_a_refresh_token() {
    for value in ["0", "-1", r#""soon""#, "null"] {
        let refreshed = refreshed(&format!(r#","refresh_token":"r","refresh_token_expires_in":{value}"#)).unwrap();
        assert_eq!(refreshed.refresh_expires_in, None, "{value}");
    }
    let keycloak = refreshed(r#","refresh_token":"r","refresh_expires_in":1800"#).unwrap();
    assert_eq!(keycloak.refresh_expires_in, Some(Duration::from_secs(1_800)));
}

#[test]
fn a_scope_is_text_or_a_list_and_a_comma_is_part_of_it_unless_the_service_separates_with_it() {
    for (value, expected) in [
        (r#""b a""#, Some("a b")),
        (r#"["a","b"]"#, Some("a b")),
        (r#""a,b""#, Some("a,b")),
        (r#""""#, None),
        (r#""a \"""#, None),
        ("[1]", None),
        ("7", None),
    ] {
        assert_eq!(refreshed(&format!(r#","scope":{value}"#)).unwrap().scope, expected.map(scope), "{value}");
    }
}

#[test]
fn no_token_is_made_of_what_is_none() {
    assert!(matches!(refreshed(r#","access_token":"another""#), Err(UpstreamError::Uncertain(_))));
    for members in [r#","refresh_token":7"#, r#","refresh_token":["r"]"#, r#","refresh_token":"a","refresh_token":"b""#]
    {
        let refreshed = refreshed(members).unwrap();
        assert_eq!(refreshed.access_token.unwrap().expose(), "new", "{members}");
        assert!(refreshed.refresh_token.is_none(), "{members}");
    }
    for body in [
        r#"{"access_token":"","token_type":"Bearer"}"#,
        r#"{"access_token":"a\r\nx: y","token_type":"Bearer"}"#,
        r#"{"access_token":{},"token_type":"Bearer"}"#,
        r#"{"access_token":"new","token_type":"mac"}"#,
        r#"{"access_token":"new","token_type":7}"#,
        r#"["new"]"#,
        r#""new""#,
        "null",
    ] {
        assert!(matches!(give(plain(), vec![json(body)]).refresh(), Err(UpstreamError::Uncertain(_))), "{body}");
    }
}

#[test]
fn an_empty_refresh_token_is_none() {
    assert!(refreshed(r#","refresh_token":"""#).unwrap().refresh_token.is_none());
}

#[test]
fn a_form_with_a_token_twice_has_it_only_if_both_are_the_same() {
    let refreshed = |members: &str| {
        let mut answer = json(&format!("access_token=new&token_type=Bearer{members}"));
        answer.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        give(plain(), vec![answer]).refresh()
    };
    for members in ["&expires_in=60&odd=1&odd=2", "&expires_in=1&expires_in=60", "&access_token=new&expires_in=60"] {
        let refreshed = refreshed(members).unwrap();
        assert_eq!(refreshed.access_token.unwrap().expose(), "new", "{members}");
        assert_eq!(refreshed.expires_in, Some(Duration::from_secs(60)), "{members}");
    }
    assert!(matches!(refreshed("&access_token=another"), Err(UpstreamError::Uncertain(_))));
}
