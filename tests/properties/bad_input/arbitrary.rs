//! Arbitrary texts, and splices of genuine tokens.

use mcp_token_lifecycle::{Clock, ErrorCode, Expectation, RedeemRequest, RefreshRequest, RotationPolicy, VerifyError};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::property::runner;
use crate::refresh_tokens::Issued;
use crate::support::*;

/// From noise to what has the right form: any bytes as far as they are text, any text, an alphabet, a length.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        any::<String>(),
        "mcp(at|rt|ac)_[A-Za-z0-9_-]{0,300}",
        "mcp(rt|ac)_AQAAAA[A-Za-z0-9_-]{98}",
        "mcpat_AQAAAAE[A-Za-z0-9_-]{60,400}",
    ]
}

#[test]
fn token_of_arbitrary_text_is_refused() {
    let issued = Issued::new();
    let here = resource();
    let verify = |text: &str| {
        let now = issued.bench.clock.now();
        issued.bench.issuer.verifier().verify(text, &Expectation::resource(&here), now)
    };
    let run = |text: String| {
        issued.refuses(&text);
        prop_assert_eq!(verify(&text), Err(VerifyError::Invalid));
        Ok(())
    };
    runner(2000).run(&text(), run).unwrap_or_else(|failure| panic!("{failure}"));
    issued.are_as_before();
}

#[test]
fn token_spliced_from_two_tokens_is_refused() {
    let issued = Issued::new();
    let splice = (any::<[Index; 4]>(), "[A-Za-z0-9_-]{0,3}").prop_map(|([one, from, other, to], between)| {
        let (one, other) = (one.get(&issued.tokens), other.get(&issued.tokens));
        format!("{}{between}{}", &one[..from.index(one.len() + 1)], &other[to.index(other.len() + 1)..])
    });
    let run = |text: String| {
        if !issued.tokens.contains(&text) {
            issued.refuses(&text);
        }
        Ok(())
    };
    runner(2000).run(&splice, run).unwrap_or_else(|failure| panic!("{failure}"));
    issued.are_as_before();
}

/// Everything else that comes with a token.
#[test]
fn parameter_of_arbitrary_text_grants_nothing_more() {
    let parameter = || prop_oneof![any::<String>(), "[ -~]{0,60}", "[A-Za-z0-9._~-]{43}", "[a-z]{1,5}://[ -~]{1,40}"];
    let parameters = (parameter(), parameter(), parameter());
    let run = |(one, two, three): (String, String, String)| {
        let bench = bench(RotationPolicy::standard());
        let (client, code) = (client(), bench.code());
        for (redirect, verifier) in [(&*one, VERIFIER), (REDIRECT, &*two), (&one, &two)] {
            let answer =
                verdict(block_on(bench.issuer.redeem(&RedeemRequest::new(&client, &code, redirect, verifier))));
            prop_assert_eq!(answer.unwrap_err(), ErrorCode::InvalidGrant);
        }
        let first = bench.redeem(&code).unwrap();
        match bench.ask(RefreshRequest::new(&client, rt(&first)).scope(&*three)) {
            Ok(tokens) => prop_assert!(grant().scope().includes(&tokens.scope)),
            Err(code) => prop_assert_eq!(code, ErrorCode::InvalidScope),
        }
        let answer = bench.ask(RefreshRequest::new(&client, rt(&first)).resource(&three));
        prop_assert_eq!(answer.unwrap_err(), ErrorCode::InvalidTarget);
        Ok(())
    };
    runner(2000).run(&parameters, run).unwrap_or_else(|failure| panic!("{failure}"));
}
