//! No secret comes out where none belongs, whatever a service answers.

use std::error::Error;

use http::Response;
use mcp_token_lifecycle::vault::*;

use super::shape::*;

/// Everything that an error says of itself.
fn spoken(error: &UpstreamError) -> String {
    let source = error.source().map(|source| format!("{source} {source:?}")).unwrap_or_default();
    format!("{error} {error:?} {source}")
}

#[test]
fn a_service_that_repeats_what_it_got_finds_no_echo_in_an_error() {
    // The last one is of letters only, as a code is.
    let known = [OLD_REFRESH, OLD_ACCESS, SECRET, "new-secret", "abcdefghij"];
    let tokens = TokenSet::new(SecretText::new(OLD_ACCESS), scope("")).refresh_token(SecretText::new("abcdefghij"));
    for repeated in known {
        for body in [
            format!(r#"{{"error":"{repeated}"}}"#),
            format!(r#"{{"error":"{repeated}","error_description":"{repeated}","ok":false}}"#),
            format!(r#"{{"error":"bad_{repeated}"}}"#),
            format!(r#"{{"error":{{"message":"{repeated}"}}}}"#),
            format!(r#"{{"access_token":"a","token_type":"{repeated}"}}"#),
            format!(r#"{{"access_token":["{repeated}"]}}"#),
            format!(r#"{{"token_type":["{repeated}"],"access_token":"{repeated}""#),
            format!(r#"{{"authed_user":"{repeated}"}}"#),
            repeated.to_owned(),
        ] {
            for status in [200_u16, 302, 400, 401, 429, 500] {
                let mut answer = Response::new(body.clone().into_bytes());
                *answer.status_mut() = status.try_into().unwrap();
                let error = pollster::block_on(give(plain(), vec![answer]).provider.refresh(&tokens)).unwrap_err();
                assert!(!spoken(&error).contains(repeated), "{status} {body}: {}", spoken(&error));
            }
        }
    }
}

#[test]
fn debug_output_has_no_secret() {
    let mut services = vec![plain(), Service::github("1", SecretText::new(SECRET)).unwrap()];
    services.push(Service::slack("1", SecretText::new(SECRET)).unwrap());
    services.push(Service::google("1", SecretText::new(SECRET)).unwrap());
    services.push(Service::entra("common", "1", SecretText::new(SECRET)).unwrap());
    services.push(Service::atlassian("1", SecretText::new(SECRET)).unwrap());
    services.push(Service::linear("1", SecretText::new(SECRET)).unwrap());
    services.push(Service::notion("1", SecretText::new(SECRET)).unwrap());
    services.push(Service::salesforce("login.salesforce.com", "1", SecretText::new(SECRET)).unwrap());
    services.push(Service::gitlab("gitlab.com", "1", SecretText::new(SECRET)).unwrap());
    services.push(Service::discord("1", SecretText::new(SECRET)).unwrap());
    for service in services {
        let provider = OAuthProvider::new(service, |_| async { Err(UpstreamError::unavailable("")) });
        let shown = format!("{provider:?}");
        assert!(shown.contains("token_endpoint") && !shown.contains(SECRET), "{shown}");
    }
    let played = play(plain(), &["rfc_refreshed"]);
    assert!(!format!("{:?}", played.refresh().unwrap()).contains("2Yot"));
    assert!(!format!("{:?}", played.header("authorization")).contains("Y2xp"), "the header is marked as sensitive");
}

#[test]
fn exchange_finds_no_echo_of_its_secrets_in_an_error() {
    for repeated in [CODE, VERIFIER, SECRET, "letters"] {
        let service = plain().authorized_at(endpoint("/authorize"));
        let mut answer = json(&format!(r#"{{"error":"{repeated}"}}"#));
        *answer.status_mut() = http::StatusCode::BAD_REQUEST;
        let played = give(service, vec![answer]);
        let exchange = CodeExchange::new(SecretText::new("letters"), REDIRECT, SecretText::new(VERIFIER));
        let error = match repeated {
            "letters" => pollster::block_on(played.provider.connector().unwrap().exchange(&exchange)).unwrap_err(),
            _ => played.exchange().unwrap_err(),
        };
        assert!(!spoken(&error).contains(repeated), "{}", spoken(&error));
        assert!(!format!("{exchange:?}").contains("letters"));
    }
}
