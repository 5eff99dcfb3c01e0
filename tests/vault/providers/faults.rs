//! What goes wrong at a service, and what may have happened there.

use std::error::Error;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn refresh(name: &str) -> UpstreamError {
    play(plain(), &[name]).refresh().unwrap_err()
}

fn retry_after(name: &str) -> Option<u64> {
    match refresh(name) {
        UpstreamError::Unavailable { retry_after, .. } => retry_after.map(|after| after.as_secs()),
        other => panic!("{name}: {other}"),
    }
}

#[test]
fn too_many_requests_and_unavailable_say_how_long_to_wait() {
    assert_eq!(retry_after("fault_429_seconds"), Some(3_600));
    assert_eq!(retry_after("fault_429_date"), Some(120));
    assert_eq!(retry_after("fault_429_date_alone"), None, "there is no clock");
    assert_eq!(retry_after("fault_503"), Some(120));
}

#[test]
fn what_may_have_been_carried_out_is_uncertain() {
    for name in ["fault_500", "fault_502", "fault_504", "fault_truncated", "fault_html", "fault_empty"] {
        assert!(matches!(refresh(name), UpstreamError::Uncertain(_)), "{name}");
    }
    for name in ["fault_null_access_token", "fault_token_type"] {
        assert!(matches!(refresh(name), UpstreamError::Uncertain(_)), "{name}");
    }
}

#[test]
fn an_error_says_what_was_wrong() {
    for (name, cause) in [
        ("fault_500", "the service answers invalid_grant"),
        ("fault_502", "the service answers http_502"),
        ("fault_truncated", "the answer cannot be read"),
        ("fault_null_access_token", "the answer has no access token"),
        ("fault_token_type", "the token is of another type than expected"),
    ] {
        assert_eq!(refresh(name).source().unwrap().to_string(), cause, "{name}");
    }
}

#[test]
fn what_was_refused_is_refused_with_its_code() {
    for (name, expected) in [("rfc_unauthorized_client", "unauthorized_client"), ("fault_not_found", "http_404")] {
        assert!(matches!(refresh(name), UpstreamError::Refused { code, .. } if code == expected), "{name}");
    }
}

#[test]
fn what_the_operator_has_to_act_on_is_told_apart() {
    for (name, expected) in [("rfc_invalid_client", "invalid_client"), ("fault_moved", "http_307")] {
        assert!(matches!(refresh(name), UpstreamError::Configuration { code, .. } if code == expected), "{name}");
    }
}

/// The words that services have for a grant that is dead, in any case, in the places where services put them.
#[test]
fn words_for_a_dead_grant_are_known_wherever_they_stand() {
    let answer = |status: u16, body: &str| {
        let mut answer = json(body);
        *answer.status_mut() = status.try_into().unwrap();
        give(plain(), vec![answer]).refresh()
    };
    for word in [
        "invalid_grant",
        "invalid_token",
        "invalid_refresh_token",
        "bad_refresh_token",
        "expired_refresh_token",
        "refresh_token_expired",
        "expired_token",
        "interaction_required",
        "login_required",
        "consent_required",
        "account_selection_required",
        "INVALID_GRANT",
    ] {
        for status in [200, 400, 401, 403, 404] {
            for body in [
                format!(r#"{{"error":"{word}"}}"#),
                format!(r#"{{"error":{{"code":"{word}","message":"no"}}}}"#),
                format!(r#"{{"error":{{"type":"{word}"}}}}"#),
                format!("error={word}&error_description=no"),
            ] {
                assert!(matches!(answer(status, &body), Err(UpstreamError::InvalidGrant)), "{status} {body}");
            }
        }
        for body in [format!(r#"{{"object":"error","code":"{word}"}}"#), format!(r#"{{"error_code":"{word}"}}"#)] {
            assert!(matches!(answer(400, &body), Err(UpstreamError::InvalidGrant)), "{body}");
        }
    }
    for (status, body) in [
        (400, ""),
        (400, "{}"),
        (401, r#"{"error":7}"#),
        (403, "<html>"),
        (404, r#"{"error":"account_closed"}"#),
        (400, r#"{"error":"invalid_request"}"#),
        (400, r#"{"error":"invalid_scope"}"#),
        (200, r#"{"error":"odd"}"#),
    ] {
        assert!(matches!(answer(status, body), Err(UpstreamError::Refused { .. })), "{status} {body}");
    }
}

/// A rate limit is one only if the service does not say something else.
#[test]
fn a_known_word_outweighs_retry_after_on_a_403() {
    let mut answer = json(r#"{"error":"invalid_grant"}"#);
    *answer.status_mut() = http::StatusCode::FORBIDDEN;
    answer.headers_mut().insert("retry-after", "60".parse().unwrap());
    assert!(matches!(give(plain(), vec![answer]).refresh(), Err(UpstreamError::InvalidGrant)));
}

#[test]
fn a_service_may_have_codes_of_its_own() {
    let mut service = plain();
    service.quirks.refresh_codes.insert("expired-token-2".to_owned(), Meaning::InvalidGrant);
    service.quirks.refresh_codes.insert("http_404".to_owned(), Meaning::Unavailable);
    let mut answer = json(r#"{"error":"expired-token-2"}"#);
    *answer.status_mut() = http::StatusCode::UNAUTHORIZED;
    let played = give(service, vec![answer, shape("fault_not_found")]);
    assert!(matches!(played.refresh(), Err(UpstreamError::InvalidGrant)));
    assert!(matches!(played.refresh(), Err(UpstreamError::Unavailable { .. })));
}

#[test]
fn a_redirect_is_not_followed() {
    let played = play(plain(), &["fault_moved"]);
    played.refresh().unwrap_err();
    assert_eq!(played.sent().len(), 1);
}

#[test]
fn null_members_are_absent_members() {
    let refreshed = play(plain(), &["fault_nulls"]).refresh().unwrap();
    assert_eq!(refreshed.access_token.unwrap().expose(), "new-access");
    assert!(refreshed.refresh_token.is_none() && refreshed.scope.is_none());
    assert!(refreshed.expires_in.is_none() && refreshed.refresh_expires_in.is_none());
}

#[test]
fn an_answer_without_a_token_type_is_of_the_expected_one() {
    assert_eq!(play(plain(), &["fault_no_token_type"]).refresh().unwrap().access_token.unwrap().expose(), "new-access");
}

#[test]
fn a_revocation_is_done_only_if_the_service_says_so() {
    for name in ["fault_html", "fault_empty", "google_revoked"] {
        assert_eq!(play(plain(), &[name]).revoke().unwrap(), Revocation::Done, "RFC 7009 §2.2: {name}");
    }
    for name in ["fault_500", "fault_502", "fault_503", "fault_429_seconds", "rfc_invalid_client", "fault_moved"] {
        assert!(play(plain(), &[name]).revoke().is_err(), "{name}");
    }
    assert!(matches!(
        play(plain(), &["google_invalid_grant"]).revoke(),
        Err(UpstreamError::Refused { code, .. }) if code == "invalid_grant"
    ));
    assert_eq!(play(plain(), &["rfc_unsupported_token_type"]).revoke().unwrap(), Revocation::Unsupported);
}

#[test]
fn an_introspection_that_says_nothing_is_no_answer() {
    assert_eq!(play(plain(), &["rfc_active"]).introspect().unwrap(), CredentialStatus::Active);
    assert_eq!(play(plain(), &["rfc_inactive"]).introspect().unwrap(), CredentialStatus::Inactive);
    for name in ["google_revoked", "fault_html", "fault_empty", "fault_truncated", "fault_500"] {
        assert!(matches!(play(plain(), &[name]).introspect(), Err(UpstreamError::Uncertain(_))), "{name}");
    }
}

#[test]
fn what_the_client_says_of_its_own_failure_is_passed_on() {
    let provider = OAuthProvider::new(plain(), |_| async { Err(UpstreamError::unavailable("no connection")) });
    let told = pollster::block_on(provider.refresh(&tokens()));
    assert!(matches!(told, Err(UpstreamError::Unavailable { retry_after: None, .. })));
}
