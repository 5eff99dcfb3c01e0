//! How soon a thief is found who copies the current refresh token and knows the policy, the time of every issue, and
//! everything else but the random number that shortens the victim's access token. On the real issuer.
//!
//! `cargo test --test detection -- --nocapture` prints the figures.
#[path = "../support/mod.rs"]
mod support;

mod random;
mod theft;

use mcp_token_lifecycle::{PolicySet, RotationPolicy, RotationPolicyBuilder, ScopeLimit};

use crate::random::Random;
use crate::support::seconds;
use crate::theft::{Aim, Theft};

/// Found at the first rotation in the median, and 99 % within six.
fn assert_found(name: &str, policies: &PolicySet, runs: usize) {
    for aim in Aim::ALL {
        let found = Theft::new(policies.clone(), aim, 1).run(runs);
        println!("{name:<28} {aim:?}: {found}");
        assert!(found.median() <= 1 && found.percentile(99) <= 6, "{name}, {aim:?}: {found}");
    }
}

fn preset(name: &str, policy: RotationPolicy) {
    assert_found(name, &policy.into(), 1000);
}

#[test]
fn standard_finds_a_thief_within_six_rotations() {
    preset("standard", RotationPolicy::standard());
}

#[test]
fn strict_finds_a_thief_within_six_rotations() {
    preset("strict", RotationPolicy::strict());
}

#[test]
fn shared_credential_finds_a_thief_within_six_rotations() {
    preset("shared_credential", RotationPolicy::shared_credential());
}

#[test]
fn reusable_finds_a_thief_of_a_public_client() {
    preset("reusable", RotationPolicy::reusable());
}

#[test]
fn background_agent_finds_a_thief_within_six_rotations() {
    preset("background_agent", RotationPolicy::background_agent());
}

#[test]
fn scope_limit_finds_a_thief_within_six_rotations() {
    for access in [3, 5, 16, 60, 300, 600, 3600] {
        for policy in [RotationPolicy::standard(), RotationPolicy::shared_credential()] {
            let limit = ScopeLimit::access(seconds(access));
            let policies = PolicySet::new(policy).with_scope("mcp:write", limit);
            assert_found(&format!("access at most {access} s"), &policies, 200);
        }
    }
}

#[test]
fn idle_limit_finds_a_thief_within_six_rotations() {
    let limit = ScopeLimit::access(seconds(300)).with_idle(seconds(400));
    assert_found("idle", &PolicySet::new(RotationPolicy::standard()).with_scope("mcp:write", limit), 500);
}

/// Any settings that the builder takes.
#[test]
fn any_policy_finds_a_thief_within_six_rotations() {
    let random = Random::new(7);
    let mut taken = 0;
    while taken < 40 {
        let access = random.below(7200) + 1;
        let leeway = random.below(access / 6 + 2);
        let set = |policy: RotationPolicyBuilder| {
            let policy = policy.access_lifetime(seconds(access)).min_access_lifetime(seconds(1));
            policy.reuse_leeway(seconds(leeway)).jitter_percent(random.below(51) as u8).build()
        };
        let Ok(policy) = set(RotationPolicy::builder()) else { continue };
        taken += 1;
        assert_found(&format!("access {access} s, leeway {leeway} s"), &policy.into(), 100);
    }
}

/// The victim's scope may be narrower than the grant's, and the life of its access tokens longer.
#[test]
fn narrowed_tokens_find_a_thief_within_six_rotations() {
    let limit = ScopeLimit::access(seconds(60));
    let policies = PolicySet::new(RotationPolicy::standard()).with_scope("mcp:write", limit);
    for aim in Aim::ALL {
        let found = Theft::new(policies.clone(), aim, 1).with_scope("mcp:read").run(500);
        println!("narrowed {aim:?}: {found}");
        assert!(found.median() <= 1 && found.percentile(99) <= 6, "{aim:?}: {found}");
    }
}

/// The last access tokens of a family are shorter. A thief who comes then is found as soon, or the family ends first.
#[test]
fn last_tokens_of_a_family_find_a_thief_as_soon() {
    let policy = support::policy(|p| p.absolute_lifetime(seconds(2400)).idle_lifetime(seconds(2400)));
    for aim in Aim::ALL {
        let found = Theft::new(policy, aim, 1).run(500);
        println!("last tokens {aim:?}: {found}");
        assert!(found.median() <= 1 && found.percentile(99) <= 6, "{aim:?}: {found}");
    }
}

/// The thief's requests go to another server than the victim's: its clock is tolerated.
#[test]
fn thief_at_another_server_is_found_within_six_rotations() {
    for (name, policy) in [
        ("standard", RotationPolicy::standard()),
        ("shared_credential", RotationPolicy::shared_credential()),
        ("background_agent", RotationPolicy::background_agent()),
    ] {
        for aim in Aim::ALL {
            let found = Theft::new(policy, aim, 2).run(500);
            println!("two servers, {name:<18} {aim:?}: {found}");
            assert!(found.median() <= 1 && found.percentile(99) <= 6, "{name}, {aim:?}: {found}");
        }
    }
}

/// The law counts from the first rotation that the thief has to guess.
#[test]
fn thief_who_knows_the_first_expiry_gains_one_rotation() {
    let found = Theft::new(RotationPolicy::standard(), Aim::Noted, 1).run(500);
    println!("noted: {found}");
    assert!(found.median() == 2 && found.percentile(99) <= 7, "{found}");
}

/// A refresh token does not show when it was issued.
#[test]
fn refresh_token_does_not_show_its_time_of_issue() {
    let bench = support::bench(RotationPolicy::standard());
    for _ in 0..100 {
        let tokens = bench.login();
        let bytes = support::forge::bytes_of(support::rt(&tokens));
        let now = support::START.to_be_bytes();
        assert!(!bytes.windows(5).any(|window| window == &now[3..]), "the time is in the token");
        bench.pass(1000);
    }
}
