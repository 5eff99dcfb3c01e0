//! Access tokens that are sealed with a genuine key and were made by no issuer: a resource server's key has leaked.

use mcp_token_lifecycle::{
    Binding, CLOCK_TOLERANCE, Claim, Clock, Expectation, MemoryStore, OnAhead, Reason, RedeemRequest, RefreshRequest,
    Resource, RotationPolicy, TokenResponse, VerifyError,
};

use crate::support::forge::AccessForge;
use crate::support::*;

const DAY: u64 = 24 * 3600;

/// A session with everything that a token can lie about, and its second access token.
fn session(policy: RotationPolicy) -> (Bench<MemoryStore>, TokenResponse, Binding) {
    let (bench, binding) = (bench(policy), Binding::DpopKey([1; 32]));
    let grant = grant().with_resource(elsewhere()).unwrap().with_claim("tenant", "acme").unwrap();
    let first = block_on(bench.issuer.issue(grant, Some(binding))).unwrap();
    let client = client();
    let request = RefreshRequest::new(&client, rt(&first)).resource(RESOURCE).binding(binding);
    let second = bench.ask(request.scope("mcp:read")).unwrap();
    bench.told();
    (bench, second, binding)
}

fn elsewhere() -> Resource {
    Resource::parse("https://elsewhere.example.com/mcp").unwrap()
}

/// What the live check says of `token` at `here`, with the proof that it may ask for.
fn live(bench: &Bench<MemoryStore>, token: &str, here: &Resource) -> Result<(), VerifyError> {
    let binding = Binding::DpopKey([1; 32]);
    let expect = Expectation::resource(here).binding(&binding);
    let live = block_on(bench.issuer.verify_live(token, &expect));
    live.map(drop).map_err(|error| error.refusal().expect("no fault of the server"))
}

fn genuine(bench: &Bench<MemoryStore>, response: &TokenResponse) -> AccessForge {
    let (here, binding) = (resource(), Binding::DpopKey([1; 32]));
    let expect = Expectation::resource(&here).binding(&binding);
    let claims = bench.issuer.verify(response.access_token.expose(), &expect).unwrap();
    AccessForge::of(&claims, [7; 32], 1)
}

/// The forged tokens are made like genuine ones: what is refused below is refused for what it says.
#[test]
fn verify_live_accepts_a_second_implementations_copy() {
    let (bench, response, _) = session(RotationPolicy::standard());
    assert_eq!(live(&bench, &genuine(&bench, &response).token(), &resource()), Ok(()));
    assert_eq!(bench.told(), []);
}

type Lie = (Claim, Box<dyn Fn(&mut AccessForge)>);

/// One lie each.
fn lies(bench: &Bench<MemoryStore>) -> Vec<Lie> {
    fn lie(claim: Claim, tell: impl Fn(&mut AccessForge) + 'static) -> Lie {
        (claim, Box::new(tell))
    }
    let now = bench.clock.now().as_unix();
    vec![
        lie(Claim::Subject, |token| token.subject = "root-admin".into()),
        lie(Claim::Subject, |token| token.subject.push('1')),
        lie(Claim::Client, |token| token.client_id = "client-2".into()),
        lie(Claim::Scope, |token| token.scope = "mcp:admin".into()),
        lie(Claim::Scope, |token| token.scope = "mcp:admin mcp:read".into()),
        lie(Claim::Audience, |token| token.audience.push("https://third.example.com".into())),
        lie(Claim::Binding, |token| token.binding = None),
        lie(Claim::Application, |token| token.claims = vec![("tenant".into(), "other".into())]),
        lie(Claim::Application, |token| token.claims.clear()),
        lie(Claim::Generation, |token| token.generation = 0),
        lie(Claim::Lifetime, |token| token.expires_at += 365 * DAY),
        lie(Claim::Lifetime, |token| token.expires_at = token.issued_at + DAY + 1),
        lie(Claim::Lifetime, move |token| token.issued_at = now - 16),
    ]
}

#[test]
fn verify_live_refuses_a_token_that_contradicts_the_record() {
    let (bench, response, _) = session(RotationPolicy::standard());
    for (number, (claim, tell)) in lies(&bench).into_iter().enumerate() {
        let mut forged = genuine(&bench, &response);
        tell(&mut forged);
        assert_eq!(live(&bench, &forged.token(), &resource()), Err(VerifyError::Revoked), "lie {number}");
        let event = bench.audit.take().remove(0);
        assert_eq!(event.action.as_str(), "forgery", "lie {number}");
        assert_eq!(event.reason, Some(Reason::Forgery(claim)), "lie {number}");
        assert_eq!(event.subject.as_deref(), Some("user-1"), "the record's, not the token's");
        assert!(event.reason.unwrap().as_str().starts_with("forged_"));
    }
    assert_eq!(live(&bench, response.access_token.expose(), &resource()), Ok(()), "the session goes on");
}

#[test]
fn introspect_calls_a_token_against_the_record_inactive() {
    let (bench, response, _) = session(RotationPolicy::standard());
    for (number, (claim, tell)) in lies(&bench).into_iter().enumerate() {
        let mut forged = genuine(&bench, &response);
        tell(&mut forged);
        assert!(!bench.introspect(&forged.token()).is_active(), "lie {number}");
        assert_eq!(bench.told(), [("forgery", Some(Reason::Forgery(claim)))], "lie {number}");
    }
    assert!(bench.introspect(response.access_token.expose()).is_active());
}

/// The endpoint believes a token of any age, so a lie must not end a session.
#[test]
fn revoke_does_nothing_for_a_token_that_contradicts_the_record() {
    let (bench, response, binding) = session(RotationPolicy::standard());
    for (number, (claim, tell)) in lies(&bench).into_iter().enumerate() {
        let mut forged = genuine(&bench, &response);
        tell(&mut forged);
        block_on(bench.issuer.revoke(&client(), &forged.token(), Some(&binding))).unwrap();
        assert_eq!(bench.told(), [("forgery", Some(Reason::Forgery(claim)))], "lie {number}");
    }
    assert_eq!(live(&bench, response.access_token.expose(), &resource()), Ok(()), "the session goes on");
}

#[test]
fn verify_live_refuses_a_life_beyond_the_familys_end() {
    let (bench, response, _) = session(policy(|p| {
        p.access_lifetime(seconds(600)).idle_lifetime(seconds(3600)).absolute_lifetime(seconds(3600))
    }));
    let mut forged = genuine(&bench, &response);
    forged.expires_at = forged.issued_at + 3601;
    assert_eq!(live(&bench, &forged.token(), &resource()), Err(VerifyError::Revoked));
    assert_eq!(bench.told(), [("forgery", Some(Reason::Forgery(Claim::Lifetime)))]);
}

/// A clock that was set back takes an honest token for one from the future, so that is no alarm.
#[test]
fn verify_live_refuses_a_token_from_the_future_without_alarm() {
    let (bench, response, _) = session(RotationPolicy::standard());
    let mut forged = genuine(&bench, &response);
    forged.issued_at += CLOCK_TOLERANCE.as_secs() + 1;
    forged.expires_at = forged.issued_at + 600;
    assert_eq!(live(&bench, &forged.token(), &resource()), Err(VerifyError::Revoked));
    assert_eq!(bench.told(), [("deny", Some(Reason::IssuedInFuture))]);
}

/// Longer than the policy gives, and not longer than some policy may have given before it was shortened: no alarm.
#[test]
fn verify_live_refuses_a_life_beyond_the_policy_without_alarm() {
    let (bench, response, _) = session(policy(|p| p.access_lifetime(seconds(600))));
    let mut forged = genuine(&bench, &response);
    forged.expires_at = forged.issued_at + 600;
    assert_eq!(live(&bench, &forged.token(), &resource()), Ok(()));
    forged.expires_at += 1;
    assert_eq!(live(&bench, &forged.token(), &resource()), Err(VerifyError::Revoked));
    assert_eq!(bench.told(), [("deny", Some(Reason::LifetimeBeyondPolicy))]);
}

/// Servers whose clocks differ within the tolerance do not take each other's tokens for forged.
#[test]
fn verify_live_tolerates_clocks_that_differ_a_little() {
    let (bench, response, _) = session(RotationPolicy::standard());
    let tolerance = CLOCK_TOLERANCE.as_secs() as i64;
    for offset in [-tolerance, tolerance] {
        let mut token = genuine(&bench, &response);
        token.issued_at = token.issued_at.checked_add_signed(offset).unwrap();
        token.expires_at = token.issued_at + 600;
        assert_eq!(live(&bench, &token.token(), &resource()), Ok(()), "{offset} s");
    }
    assert_eq!(bench.told(), []);
}

/// A store restored from a backup may know a family as it was before its code was redeemed and bound.
#[test]
fn verify_live_takes_a_family_before_its_redemption_for_behind() {
    for on_ahead in [OnAhead::Reject, OnAhead::FastForward] {
        let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), policy(|p| p.on_ahead(on_ahead)));
        let (code, client, binding) = (bench.code(), client(), Binding::DpopKey([1; 32]));
        let restored = bench.issuer.store().backup(1);
        let request = RedeemRequest::new(&client, &code, REDIRECT, VERIFIER).binding(binding);
        let response = verdict(block_on(bench.issuer.redeem(&request))).unwrap();
        let behind = bench.twin(restored, keyring(), policy(|p| p.on_ahead(on_ahead)));
        bench.told();
        assert_eq!(live(&behind, response.access_token.expose(), &resource()), Err(VerifyError::Revoked));
        assert_eq!(bench.told(), [("deny", Some(Reason::AheadOfStore))]);
    }
}
