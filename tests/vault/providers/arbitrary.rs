//! Whatever a service answers: no panic, and no token that is none.

use std::cell::Cell;

use http::Response;
use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use mcp_token_lifecycle::vault::*;
use proptest::prelude::*;
use proptest::sample::select;

use super::property::runner;
use super::shape::*;

fn service(number: usize) -> Service {
    let secret = || SecretText::new(SECRET);
    match number {
        0 => plain(),
        1 => Service::github("1", secret()).unwrap(),
        2 => Service::slack("1", secret()).unwrap(),
        3 => Service::google("1", secret()).unwrap(),
        4 => Service::entra("common", "1", secret()).unwrap(),
        5 => Service::atlassian("1", secret()).unwrap(),
        6 => Service::linear("1", secret()).unwrap(),
        7 => Service::notion("1", secret()).unwrap(),
        _ => Service::salesforce("login.salesforce.com", "1", secret()).unwrap(),
    }
}

/// A JSON value, odd ones among them.
fn value() -> impl Strategy<Value = String> {
    let odd = ["null", "true", "false", "-1", "1e308", "{}", "[]", r#""""#, r#""Bearer""#, r#""user""#, r#""DPoP""#];
    let odd = odd.map(str::to_owned).to_vec();
    prop_oneof![
        select(odd),
        any::<f64>().prop_map(|n| n.to_string()),
        "\"[ -!#-\\[\\]-~]{0,12}\"",
        "\"\\\\u00[0-9a-f]{2}\""
    ]
}

/// Bytes, members with odd values, and answers with a hole or an end in the middle.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let names = ["access_token", "refresh_token", "token_type", "expires_in", "scope", "error", "ok", "authed_user"];
    let members = prop::collection::vec((select(names.to_vec()), value()), 0..9);
    let object = members.prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    });
    let recorded = ["github_refreshed_form", "slack_refreshed_nested", "rfc_refreshed", "fault_nulls"];
    let torn = (select(recorded.to_vec()), any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    let torn = torn.prop_map(|(name, at, byte, cut)| {
        let mut body = shape(name).into_body();
        let at = at.index(body.len());
        if cut {
            body.truncate(at)
        } else {
            body[at] = byte
        }
        body
    });
    prop_oneof![1 => prop::collection::vec(any::<u8>(), 0..200), 3 => object, 6 => torn]
}

fn answer() -> impl Strategy<Value = Response<Vec<u8>>> {
    let json = "application/json";
    let types = [json, json, json, "application/x-www-form-urlencoded", "text/html"];
    let header = "[ -~]{0,32}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT";
    let status = prop_oneof![9 => Just(200_u16), 1 => 100_u16..=999];
    (status, select(types.to_vec()), header, header, body()).prop_map(|(status, kind, after, date, body)| {
        let mut answer = Response::new(body);
        *answer.status_mut() = status.try_into().unwrap();
        for (name, value) in [(CONTENT_TYPE, kind), (RETRY_AFTER, &after), (DATE, &date)] {
            answer.headers_mut().insert(name, value.parse().unwrap());
        }
        answer
    })
}

#[test]
fn nothing_panics_and_no_token_is_empty_or_ends_a_header() {
    let taken = Cell::new(0);
    let property = |(number, answer): (usize, Response<Vec<u8>>)| {
        let status = answer.status();
        if let Ok(refreshed) = give(service(number), vec![answer]).refresh() {
            taken.set(taken.get() + 1);
            let printable = |token: &SecretText| token.expose().bytes().all(|byte| (b' '..=b'~').contains(&byte));
            let tokens = [&refreshed.access_token, &refreshed.refresh_token];
            prop_assert!(status.is_success());
            prop_assert!(tokens.iter().any(|token| token.is_some()));
            prop_assert!(tokens.into_iter().flatten().all(|token| !token.expose().is_empty()));
            prop_assert!(refreshed.access_token.as_ref().is_none_or(printable));
        }
        Ok(())
    };
    runner(4_000).run(&(0_usize..9, answer()), property).unwrap();
    assert!(taken.get() > 100, "only {} answers were taken", taken.get());
}
