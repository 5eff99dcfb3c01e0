//! Access tokens: nothing panics, and no text but the genuine one verifies.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mcp_token_lifecycle::{AccessVerifier, Expectation, Resource};
use mcp_token_lifecycle_fuzz::{NOW, SUBJECT, issuer, keyring, presented, resource, tokens};

static WORLD: LazyLock<(AccessVerifier, Resource, [String; 1])> = LazyLock::new(|| {
    let [_, _, access] = tokens(&issuer());
    (AccessVerifier::from(&keyring()), resource(), [access])
});

fuzz_target!(|data: &[u8]| {
    let (verifier, resource, genuine) = &*WORLD;
    let text = presented(data, genuine);
    let verified = verifier.verify(&text, &Expectation::resource(resource), NOW);
    assert_eq!(verified.is_ok(), text == genuine[0], "{text}");
    if let Ok(claims) = verified {
        assert_eq!(claims.subject(), SUBJECT);
    }
});
