//! The keys of access tokens: each resource server gets those of its own resource, and can do nothing elsewhere with them.

mod support;

use mcp_token_lifecycle::{
    AccessKeys, AccessVerifier, Clock, Expectation, Grant, KeyId, Keyring, KeyringError, MasterKey, MemoryStore,
    RefreshRequest, Resource, RotationPolicy, TokenResponse, VerifyError,
};
use support::forge::AccessForge;
use support::*;

const ELSEWHERE: &str = "https://files.example.com/mcp?a=1,2";

fn elsewhere() -> Resource {
    Resource::parse(ELSEWHERE).unwrap()
}

fn grant_at(resource: &Resource) -> Grant {
    Grant::new("user-1", "client-1", scope("mcp:read"), resource.clone()).unwrap()
}

/// The keys of one resource, as its server reads them.
fn exported(keyring: &Keyring, resource: &Resource) -> AccessVerifier {
    AccessVerifier::new(AccessKeys::parse(&keyring.access_keys().for_resource(resource).export()).unwrap())
}

fn verify(verifier: &AccessVerifier, token: &str, here: &Resource) -> Result<(), VerifyError> {
    verifier.verify(token, &Expectation::resource(here), TestClock::default().now()).map(drop)
}

fn access(response: &TokenResponse) -> &str {
    response.access_token.expose()
}

#[test]
fn for_resource_verifies_tokens_of_that_resource_alone() {
    let bench = bench(RotationPolicy::standard());
    let tokens = [resource(), elsewhere()].map(|at| bench.begin(grant_at(&at)));
    let [here, there] = [resource(), elsewhere()].map(|at| exported(&keyring(), &at));
    assert_eq!(verify(&here, access(&tokens[0]), &resource()), Ok(()));
    assert_eq!(verify(&there, access(&tokens[1]), &elsewhere()), Ok(()));
    for expected in [resource(), elsewhere()] {
        assert_eq!(verify(&here, access(&tokens[1]), &expected), Err(VerifyError::Invalid));
        assert_eq!(verify(&there, access(&tokens[0]), &expected), Err(VerifyError::Invalid));
    }
    assert_eq!(verify(&here, access(&tokens[0]), &elsewhere()), Err(VerifyError::Audience));
    assert_eq!(verify(bench.issuer.verifier(), access(&tokens[0]), &elsewhere()), Err(VerifyError::Audience));
}

/// What a server with the key of one resource can seal passes as a token for that resource, and for no other.
#[test]
fn for_resource_mints_nothing_for_another_resource() {
    let bench = bench(RotationPolicy::standard());
    let genuine = AccessForge::of(&bench.claims(&bench.begin(grant())), [7; 32], 1);
    let both = format!("{RESOURCE} {ELSEWHERE}");
    // A verifier that has not met a resource yet, and one that has.
    for warm in [false, true] {
        let verifiers = [AccessVerifier::from(&keyring()), exported(&keyring(), &elsewhere())];
        if warm {
            [resource(), elsewhere()].iter().for_each(|at| {
                assert_eq!(verify(&verifiers[0], access(&bench.begin(grant_at(at))), at), Ok(()));
            });
        }
        for audience in
            [vec![ELSEWHERE], vec![RESOURCE, ELSEWHERE], vec![ELSEWHERE, RESOURCE], vec![RESOURCE, RESOURCE]]
        {
            let mut forged = genuine.clone();
            forged.audience = audience.iter().map(|uri| (*uri).to_owned()).collect();
            forged.sealed_for = Some(RESOURCE.to_owned());
            for verifier in verifiers.iter().chain([bench.issuer.verifier()]) {
                for expected in [resource(), elsewhere()] {
                    let refused = verify(verifier, &forged.token(), &expected);
                    assert_eq!(refused, Err(VerifyError::Invalid), "{audience:?} at {expected}, warm: {warm}");
                }
            }
            assert!(!bench.introspect(&forged.token()).is_active());
        }
    }
    let key_of = |at: &Resource| keyring().access_keys().for_resource(at).export()[2..46].to_owned();
    assert_ne!(key_of(&resource()), key_of(&elsewhere()));
    assert_ne!(key_of(&resource()), keyring().access_keys().export()[2..46]);
    // The tag of another audience over the key of this one does not open at all.
    let mut other = genuine;
    other.sealed_for = Some(both);
    assert_eq!(verify(bench.issuer.verifier(), &other.token(), &resource()), Err(VerifyError::Invalid));
}

/// A token for several resources has a key of its own, which no server of one resource has.
#[test]
fn verify_token_of_two_resources_needs_keys_of_both() {
    let bench = bench(RotationPolicy::standard());
    let grant = grant_at(&resource()).with_resource(elsewhere()).unwrap();
    let wide = bench.begin(grant);
    let of_one = [resource(), elsewhere()].map(|at| (exported(&keyring(), &at), at));
    for (verifier, here) in &of_one {
        assert_eq!(verify(verifier, access(&wide), here), Err(VerifyError::Invalid));
        assert_eq!(verify(bench.issuer.verifier(), access(&wide), here), Ok(()), "with the keys of every resource");
        assert_eq!(bench.issuer.verify(access(&wide), &Expectation::resource(here)).unwrap().audience().len(), 2);
    }
    assert!(bench.introspect(access(&wide)).is_active());
    // Asked for one by one they are good at each.
    let (mut current, client) = (wide, client());
    for (verifier, here) in &of_one {
        let request = RefreshRequest::new(&client, rt(&current)).resource(here.as_str()).resource(here.as_str());
        let narrow = bench.ask(request).unwrap();
        assert_eq!(verify(verifier, access(&narrow), here), Ok(()), "named twice it is one");
        current = narrow;
    }
}

#[test]
fn exports_of_several_resources_are_read_as_one() {
    let bench = bench(RotationPolicy::standard());
    let access_keys = keyring().access_keys();
    let texts = [resource(), elsewhere()].map(|at| access_keys.for_resource(&at).export().to_string());
    let keys = AccessKeys::parse(&format!("# two\n{}\n{}", texts[0], texts[1])).unwrap();
    assert_eq!(*keys.export(), texts.concat());
    assert_eq!(*keys.for_resource(&elsewhere()).export(), texts[1]);
    let third = Resource::parse("https://third.example.com").unwrap();
    assert_eq!(*keys.for_resource(&third).export(), "", "these keys make no others");
    let (shown, verifier) = (format!("{keys:?}"), AccessVerifier::new(keys));
    assert!(shown.contains(RESOURCE) && !shown.contains("[7,"), "{shown}");
    for at in [resource(), elsewhere()] {
        assert_eq!(verify(&verifier, access(&bench.begin(grant_at(&at))), &at), Ok(()));
    }
    assert_eq!(verify(&verifier, access(&bench.begin(grant_at(&third))), &third), Err(VerifyError::Invalid));
}

#[test]
fn for_resource_has_the_retired_keys_too() {
    let old = bench(RotationPolicy::standard());
    let first = old.begin(grant());
    let both = || mid_rotation(2);
    let new = old.twin(MemoryStore::new(), both(), RotationPolicy::standard());
    let second = new.begin(grant());
    let verifier = exported(&both(), &resource());
    assert_eq!(verify(&verifier, access(&first), &resource()), Ok(()));
    assert_eq!(verify(&verifier, access(&second), &resource()), Ok(()));
    assert_eq!(verify(&exported(&keyring(), &resource()), access(&second), &resource()), Err(VerifyError::Invalid));
}

/// The keys of a few resources are kept once they are derived; there is no limit to those that work.
#[test]
fn access_verifier_serves_forty_resources() {
    let bench = bench(RotationPolicy::standard());
    let resources: Vec<_> = (0..40).map(|n| Resource::parse(&format!("https://{n}.example.com")).unwrap()).collect();
    for _ in 0..2 {
        let fresh = AccessVerifier::from(&keyring());
        for at in &resources {
            let token = bench.begin(grant_at(at));
            for verifier in [bench.issuer.verifier(), &fresh] {
                assert_eq!(verify(verifier, access(&token), at), Ok(()));
                assert_eq!(verify(verifier, access(&token), &resource()), Err(VerifyError::Audience));
            }
            assert!(bench.live(&token).is_err(), "for another resource");
        }
    }
}

#[test]
fn access_keys_name_the_entry_that_is_malformed() {
    let key = |byte| MasterKey::from_bytes([byte; 32]).to_base64().to_string();
    let parse = |text: &str| AccessKeys::parse(text).unwrap_err();
    for uri in ["", "mcp.example.com", "https://a b.example", "https://user@mcp.example.com"] {
        let text = format!("1:{}@{RESOURCE}\n2:{}@{uri}", key(1), key(2));
        assert!(matches!(parse(&text), KeyringError::Malformed { entry: 2 }), "{uri:?}");
    }
    let mixed = format!("1:{}@{RESOURCE}\n2:{}", key(1), key(2));
    assert!(matches!(parse(&mixed), KeyringError::Malformed { .. }), "of one resource, and of every");
    let twice = format!("1:{}@{RESOURCE}\n1:{}@{RESOURCE}", key(1), key(2));
    assert!(matches!(parse(&twice), KeyringError::DuplicateId(id) if id == KeyId::new(1)));
    let same = format!("1:{0}@{RESOURCE}\n2:{0}@{RESOURCE}", key(1));
    assert!(matches!(parse(&same), KeyringError::DuplicateKey(..)));
    let (short, text) = ("2:AAAA", format!("1:{}@{RESOURCE}", key(1)));
    assert!(matches!(parse(&format!("{text}\n{short}@{RESOURCE}")), KeyringError::Length { found: 3, .. }));
    // Keys of resources are no keyring.
    assert!(matches!(Keyring::parse(&text), Err(KeyringError::Malformed { entry: 1 })));
}
