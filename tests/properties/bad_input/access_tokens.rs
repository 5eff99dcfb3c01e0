//! Access tokens that are nearly genuine.

use mcp_token_lifecycle::{
    AccessVerifier, Binding, Clock, Expectation, MemoryStore, Reason, RotationPolicy, VerifyError,
};

use crate::altered;
use crate::support::*;

/// What is refused here is refused before the store is asked, even where a family is to be looked up.
fn refuses(bench: &Bench<FlakyStore<MemoryStore>>, verifier: &AccessVerifier, text: &str) {
    let (here, binding) = (resource(), Binding::DpopKey([1; 32]));
    let expect = Expectation::resource(&here).binding(&binding);
    assert_eq!(verifier.verify(text, &expect, bench.clock.now()), Err(VerifyError::Invalid), "{text:?}");
    let live = block_on(bench.issuer.verify_live(text, &expect));
    assert_eq!(live.unwrap_err().refusal().unwrap(), VerifyError::Invalid, "{text:?}");
    assert!(!bench.introspect(text).is_active(), "{text:?}");
    assert_eq!(bench.told(), [("deny", Some(Reason::Malformed))], "{text:?}");
    block_on(bench.issuer.revoke(&client(), text, Some(&binding))).unwrap();
    assert_eq!(bench.told(), [("deny", Some(Reason::Malformed))], "{text:?}");
    assert_eq!(bench.issuer.store().operations(), [], "{text:?}");
}

#[test]
fn access_token_in_another_spelling_is_refused() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let binding = Binding::DpopKey([1; 32]);
    // One of each length modulo three, since the last character differs.
    for subject in ["user-1", "user-12", "user-123"] {
        let grant = grant_of(subject, "client-1").with_claim("tenant", "acme").unwrap();
        let tokens = block_on(bench.issuer.issue(grant, Some(binding))).unwrap();
        bench.issuer.store().operations();
        bench.told();
        let verifier = AccessVerifier::from(&keyring());
        for text in altered::token(tokens.access_token.expose()) {
            refuses(&bench, &verifier, &text);
        }
        let here = resource();
        let expect = Expectation::resource(&here).binding(&binding);
        assert!(block_on(bench.issuer.verify_live(tokens.access_token.expose(), &expect)).is_ok());
    }
}
