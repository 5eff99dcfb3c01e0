//! Policies: what the builder refuses, what each preset means, and which lifetime wins.

mod support;

use std::time::Duration;

use mcp_token_lifecycle::{
    Binding, Client, Commit, ErrorCode, ErrorKind, Grant, MemoryStore, OnReuse, PolicyError, PolicySet, Reason,
    RefreshRequest, RotationPolicy, RotationPolicyBuilder, ScopeLimit, TokenResponse, TokenStore, VerifyError,
};
use support::*;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn build(set: impl FnOnce(RotationPolicyBuilder) -> RotationPolicyBuilder) -> Result<RotationPolicy, PolicyError> {
    set(RotationPolicy::builder()).build()
}

#[test]
fn builder_names_setting_value_and_bound() {
    let nothing = Duration::from_millis(999);
    let refused = |set: fn(RotationPolicyBuilder) -> RotationPolicyBuilder| build(set).unwrap_err().to_string();
    for (error, setting) in [
        (build(|p| p.access_lifetime(nothing)), "access_lifetime"),
        (build(|p| p.idle_lifetime(nothing)), "idle_lifetime"),
        (build(|p| p.absolute_lifetime(nothing)), "absolute_lifetime"),
        (build(|p| p.code_lifetime(nothing)), "code_lifetime"),
        (build(|p| p.min_access_lifetime(nothing)), "min_access_lifetime"),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), format!("{setting} must be at least 1s, got 999ms"));
        assert_eq!(error.setting(), setting);
    }
    for (error, text) in [
        (
            refused(|p| p.min_access_lifetime(seconds(HOUR)).access_lifetime(seconds(HOUR - 1))),
            "min_access_lifetime must be at most access_lifetime = 3599s, got 3600s",
        ),
        (refused(|p| p.access_lifetime(seconds(DAY + 1))), "access_lifetime must be at most 86400s, got 86401s"),
        (
            refused(|p| p.idle_lifetime(seconds(30 * MINUTE - 1))),
            "access_lifetime must be at most idle_lifetime = 1799s, got 1800s",
        ),
        (
            refused(|p| p.absolute_lifetime(seconds(14 * DAY - 1))),
            "idle_lifetime must be at most absolute_lifetime = 1209599s, got 1209600s",
        ),
        (refused(|p| p.code_lifetime(seconds(601))), "code_lifetime must be at most 600s, got 601s"),
        (
            refused(|p| p.code_retry_window(seconds(61))),
            "code_retry_window must be at most code_lifetime = 60s, got 61s",
        ),
        (refused(|p| p.jitter_percent(51)), "jitter_percent must be at most 50, got 51"),
        (
            refused(|p| p.reuse_leeway(seconds(151))),
            "reuse_leeway must be at most about a twelfth of access_lifetime = 150s, got 151s",
        ),
        (
            refused(|p| p.reuse_leeway(seconds(HOUR)).access_lifetime(seconds(300))),
            "reuse_leeway must be at most about a twelfth of access_lifetime = 25s, got 3600s",
        ),
        (
            refused(|p| p.lost_response_window(Some(seconds(29)))),
            "lost_response_window must be at least reuse_leeway = 30s, got 29s",
        ),
        (
            refused(|p| p.lost_response_window(Some(seconds(14 * DAY + 1)))),
            "lost_response_window must be at most idle_lifetime = 1209600s, got 1209601s",
        ),
        (refused(|p| p.retry_limit(Some(0))), "retry_limit must be at least 1, got 0"),
    ] {
        assert_eq!(error, text);
    }
}

#[test]
fn builder_takes_every_bound_itself() {
    for fits in [
        build(|p| p.access_lifetime(seconds(DAY))),
        build(|p| p.min_access_lifetime(seconds(30 * MINUTE))),
        build(|p| p.idle_lifetime(seconds(30 * MINUTE))),
        build(|p| p.absolute_lifetime(seconds(14 * DAY))),
        build(|p| p.code_lifetime(seconds(600))),
        build(|p| p.code_retry_window(seconds(60))),
        build(|p| p.jitter_percent(50)),
        build(|p| p.jitter_percent(0)),
        build(|p| p.reuse_leeway(seconds(150))),
        build(|p| p.reuse_leeway(seconds(0))),
        build(|p| p.lost_response_window(Some(seconds(30)))),
        build(|p| p.lost_response_window(Some(seconds(14 * DAY)))),
        build(|p| p.retry_limit(Some(1))),
    ] {
        assert!(fits.is_ok(), "{fits:?}");
    }
}

/// A leeway that the application did not ask for gives way to the access lifetime that it did ask for.
#[test]
fn leeway_of_a_preset_shrinks_with_the_access_lifetime() {
    let built = |preset: RotationPolicy, access| preset.to_builder().access_lifetime(seconds(access)).build().unwrap();
    for (policy, leeway) in [
        (built(RotationPolicy::standard(), 352), 30),
        (built(RotationPolicy::standard(), 351), 29),
        (built(RotationPolicy::shared_credential(), 600), 50),
        (built(RotationPolicy::standard(), 5), 1),
        (built(RotationPolicy::standard().to_builder().min_access_lifetime(seconds(1)).build().unwrap(), 3), 0),
        (built(RotationPolicy::strict(), 300), 0),
    ] {
        assert_eq!(policy.reuse_leeway(), seconds(leeway));
    }
}

/// spec: MCP authorization §Security: Token Theft b
/// spec: OAuth 2.1 §7.1.3.5
/// spec: RFC 6750 §5.3
#[test]
fn preset_is_valid_and_has_the_lifetimes_of_its_table() {
    let table = [
        (RotationPolicy::strict(), 15 * MINUTE, 7 * DAY, 30 * DAY, 0),
        (RotationPolicy::standard(), 30 * MINUTE, 14 * DAY, 90 * DAY, 30),
        (RotationPolicy::shared_credential(), 30 * MINUTE, 14 * DAY, 90 * DAY, 120),
        (RotationPolicy::reusable(), 30 * MINUTE, 14 * DAY, 90 * DAY, 30),
        (RotationPolicy::background_agent(), 10 * MINUTE, 30 * DAY, 90 * DAY, 30),
    ];
    for (preset, access, idle, absolute, leeway) in table {
        assert_eq!(preset.to_builder().build(), Ok(preset));
        let lifetimes = preset.lifetimes();
        assert_eq!(lifetimes.access, seconds(access));
        assert_eq!(lifetimes.idle, seconds(idle));
        assert_eq!(lifetimes.absolute, seconds(absolute));
        assert_eq!(lifetimes.code, seconds(60));
        assert_eq!(preset.reuse_leeway(), seconds(leeway));
    }
    assert_eq!(RotationPolicy::default(), RotationPolicy::standard());
}

/// Whether the spent token of a family is answered `after` so many seconds.
fn answered(policy: RotationPolicy, after: u64) -> bool {
    let bench = bench(policy);
    let first = bench.login();
    bench.refresh(rt(&first)).unwrap();
    bench.pass(after);
    bench.refresh(rt(&first)).is_ok()
}

#[test]
fn preset_answers_a_spent_token_within_its_own_leeway() {
    for (policy, longest) in [
        (RotationPolicy::standard(), Some(29)),
        (RotationPolicy::background_agent(), Some(29)),
        (RotationPolicy::reusable(), Some(29)),
        (RotationPolicy::shared_credential(), Some(119)),
        (RotationPolicy::strict(), None),
    ] {
        if let Some(longest) = longest {
            assert!(answered(policy, longest));
        }
        assert!(!answered(policy, longest.map_or(0, |longest| longest + 1)));
    }
}

/// spec: MCP authorization §Security: Token Theft c
/// spec: RFC 9700 §2.2.2 a
#[test]
fn reusable_preset_keeps_tokens_with_proof_and_rotates_others() {
    let (public, confidential) = (Client::public("client-1"), Client::confidential("client-1"));
    let (key, certificate, fingerprint) =
        (Binding::DpopKey([1; 32]), Binding::Certificate([1; 32]), Binding::Fingerprint([1; 32]));
    let kept = |policy: RotationPolicy, client: &Client, binding: Option<Binding>| {
        let bench = bench(policy);
        let first = block_on(bench.issuer.issue(grant(), binding)).unwrap();
        bench.pass(HOUR);
        let request = RefreshRequest::new(client, rt(&first));
        let request = if let Some(binding) = binding { request.binding(binding) } else { request };
        rt(&bench.ask(request).unwrap()) == rt(&first)
    };
    let reusable = RotationPolicy::reusable();
    assert!(kept(reusable, &confidential, None));
    assert!(kept(reusable, &public, Some(key)));
    assert!(kept(reusable, &public, Some(certificate)));
    assert!(!kept(reusable, &public, None));
    assert!(!kept(reusable, &public, Some(fingerprint)), "a fingerprint is no proof");
    assert!(!kept(RotationPolicy::standard(), &confidential, Some(key)));
}

#[test]
fn reusable_token_slides_with_its_use_and_expires_when_idle() {
    let bench = bench(RotationPolicy::reusable());
    let (first, client) = (bench.login(), Client::confidential("client-1"));
    let ask = || bench.ask(RefreshRequest::new(&client, rt(&first)));
    for _ in 0..3 {
        bench.pass(14 * DAY - 1);
        assert_eq!(ask().unwrap().refresh_token_timeout, 14 * DAY);
    }
    bench.told();
    bench.pass(14 * DAY);
    assert_eq!(ask().unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::IdleExpired))]);
}

#[test]
fn reusable_token_used_thrice_in_one_second_costs_one_write() {
    let store = FlakyStore::new(MemoryStore::new());
    let bench = bench_on(store, keyring(), RotationPolicy::reusable());
    let (first, client) = (bench.login(), Client::confidential("client-1"));
    bench.pass(60);
    bench.issuer.store().operations();
    for _ in 0..3 {
        assert_eq!(rt(&bench.ask(RefreshRequest::new(&client, rt(&first))).unwrap()), rt(&first));
    }
    let commits = bench.issuer.store().operations().into_iter().filter(|op| *op == Op::Commit).count();
    assert_eq!(commits, 1);
}

/// spec: RFC 9700 §4.14.2 a
#[test]
fn lifetimes_of_client_and_scopes_are_the_shortest() {
    let policies = PolicySet::new(policy(|p| p))
        .with_client("agent", RotationPolicy::background_agent().to_builder().jitter_percent(0).build().unwrap())
        .with_scope("mcp:write", ScopeLimit::access(seconds(15 * MINUTE)).with_idle(seconds(DAY)))
        .with_scope(
            "mcp:wide",
            ScopeLimit::access(seconds(DAY)).with_idle(seconds(99 * DAY)).with_absolute(seconds(99 * DAY)),
        )
        .with_scope("mcp:admin", ScopeLimit::access(seconds(HOUR)).with_absolute(seconds(2 * DAY)));
    let bench = bench(policies).without_jitter();
    let issue = |client, scopes| {
        let grant = Grant::new("user-1", client, scope(scopes), resource()).unwrap();
        let response = bench.begin(grant);
        (response.expires_in, response.refresh_token_timeout, response.authorization_expires_in)
    };
    assert_eq!(issue("client-1", "mcp:read"), (30 * MINUTE, 14 * DAY, 90 * DAY));
    assert_eq!(issue("client-1", "mcp:read mcp:write"), (15 * MINUTE, DAY, 90 * DAY));
    assert_eq!(issue("client-1", "mcp:admin"), (30 * MINUTE, 2 * DAY, 2 * DAY), "a limit does not lengthen");
    assert_eq!(issue("client-1", "mcp:wide"), (30 * MINUTE, 14 * DAY, 90 * DAY), "nor does a generous one");
    assert_eq!(issue("client-1", "mcp:admin mcp:write"), (15 * MINUTE, DAY, 2 * DAY));
    assert_eq!(issue("agent", "mcp:read"), (10 * MINUTE, 30 * DAY, 90 * DAY));
    assert_eq!(issue("agent", "mcp:write"), (10 * MINUTE, DAY, 90 * DAY));
}

#[test]
fn scope_limit_does_not_bind_an_access_token_without_the_scope() {
    let limit = ScopeLimit::access(seconds(300));
    let bench = bench(PolicySet::new(policy(|p| p)).with_scope("mcp:write", limit)).without_jitter();
    let (first, client) = (bench.login(), client());
    assert_eq!(first.expires_in, 300);
    let narrowed = bench.ask(RefreshRequest::new(&client, rt(&first)).scope("mcp:read")).unwrap();
    assert_eq!(narrowed.expires_in, 1800);
    assert_eq!(bench.refresh(rt(&narrowed)).unwrap().expires_in, 300);
}

#[test]
fn scope_limit_may_be_below_the_min_access_lifetime() {
    let limit = ScopeLimit::access(seconds(3));
    let bench = bench(PolicySet::new(policy(|p| p.min_access_lifetime(seconds(5)))).with_scope("mcp:write", limit))
        .without_jitter();
    let first = bench.login();
    assert_eq!(first.expires_in, 3);
    assert_eq!(bench.refresh(rt(&first)).unwrap().expires_in, 3);
}

#[test]
fn access_token_never_outlives_its_refresh_token() {
    let limit = ScopeLimit::default().with_idle(seconds(600));
    let policies = PolicySet::new(policy(|p| p.reuse_leeway(seconds(60)))).with_scope("mcp:write", limit);
    let (bench, client) = (bench(policies).without_jitter(), client());
    let first = bench.login();
    let narrow = || bench.ask(RefreshRequest::new(&client, rt(&first)).scope("mcp:read")).unwrap();
    assert_eq!(narrow().expires_in, 600, "not the 30 minutes of a grant without the scope");
    bench.pass(43);
    let retried = narrow();
    assert_eq!((retried.retry, retried.expires_in), (true, 557), "the idle timer is unmoved");
    bench.pass(556);
    block_on(bench.issuer.purge()).unwrap();
    assert!(bench.live(&retried).is_ok(), "no purge cuts it short");
}

#[test]
fn scope_limit_with_absolute_ends_the_family() {
    let limit = ScopeLimit::access(seconds(300)).with_absolute(seconds(HOUR));
    let bench = bench(PolicySet::new(RotationPolicy::standard()).with_scope("mcp:write", limit)).without_jitter();
    let first = bench.login();
    bench.pass(HOUR - 10);
    let second = bench.refresh(rt(&first)).unwrap();
    assert_eq!(second.expires_in, 10);
    bench.pass(10);
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
}

/// Randomness that is the same byte over and over.
struct Constant(u8);

impl Fill for Constant {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Dry> {
        bytes.fill(self.0);
        Ok(())
    }
}

/// The longest and the shortest life of an access token under `policy`.
fn lifetimes(policies: impl Into<PolicySet>) -> (u64, u64) {
    let policies = policies.into();
    let life = |random| {
        let mut bench = bench(policies.clone());
        bench.issuer = bench.issuer.with_rng(FillRng(Constant(random)));
        let first = bench.begin(grant());
        let claims = bench.claims(&first);
        assert_eq!(claims.expires_at().since(claims.issued_at()), seconds(first.expires_in));
        first.expires_in
    };
    (life(0), life(0xff))
}

#[test]
fn jitter_is_the_percentage_where_there_is_no_leeway() {
    let strict = |percent| RotationPolicy::strict().to_builder().jitter_percent(percent).build().unwrap();
    assert_eq!(lifetimes(strict(0)), (900, 900));
    assert_eq!(lifetimes(strict(5)), (900, 855));
    assert_eq!(lifetimes(strict(50)), (900, 450));
}

/// Six times the leeway and the tolerance for clocks, and half of the lifetime at most.
#[test]
fn jitter_outweighs_the_leeway_in_every_preset() {
    for (policy, longest, shortest) in [
        (RotationPolicy::standard(), 1800, 1530),
        (RotationPolicy::reusable(), 1800, 1530),
        (RotationPolicy::shared_credential(), 1800, 990),
        (RotationPolicy::background_agent(), 600, 330),
    ] {
        assert_eq!(lifetimes(policy), (longest, shortest), "{policy:?}");
    }
}

#[test]
fn jitter_takes_half_of_a_life_and_the_leeway_a_twelfth() {
    let policies = PolicySet::new(RotationPolicy::standard()).with_scope("mcp:write", ScopeLimit::access(seconds(300)));
    assert_eq!(policies.reuse_leeway(&grant()), seconds(25));
    assert_eq!(lifetimes(policies.clone()), (300, 150));
    let bench = bench(policies);
    let first = bench.login();
    bench.refresh(rt(&first)).unwrap();
    bench.pass(24);
    assert!(bench.refresh(rt(&first)).unwrap().retry);
    bench.pass(1);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

/// Near the end of a family its access tokens are shorter, and so are their jitter and the leeway.
#[test]
fn leeway_shrinks_towards_the_end_of_the_family() {
    let bench = bench(policy(|p| p.absolute_lifetime(seconds(HOUR)).idle_lifetime(seconds(HOUR))));
    let first = bench.login();
    bench.pass(HOUR - 120);
    let second = bench.refresh(rt(&first)).unwrap();
    assert!((60..=120).contains(&second.expires_in), "{}", second.expires_in);
    bench.pass(9);
    assert!(bench.refresh(rt(&first)).unwrap().retry);
    bench.pass(1);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn jitter_differs_from_one_refresh_to_the_next() {
    let bench = bench(RotationPolicy::standard());
    let mut current = bench.login();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        current = bench.refresh(rt(&current)).unwrap();
        seen.insert(current.expires_in);
    }
    assert!(seen.iter().all(|lifetime| (1530..=1800).contains(lifetime)), "{seen:?}");
    assert!(seen.len() > 80, "{seen:?}");
    assert!(seen.first() < Some(&1575) && seen.last() > Some(&1755), "{seen:?}");
}

/// A theft at client-1 while the user is logged in elsewhere too.
fn theft(act: OnReuse) -> (Bench<MemoryStore>, Vec<TokenResponse>) {
    let bench = bench(policy(|p| p.on_reuse(act)));
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    let elsewhere = bench.begin(grant_of("user-1", "client-2"));
    let neighbour = bench.begin(grant_of("user-2", "client-1"));
    bench.pass(60);
    bench.told();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    (bench, vec![second, elsewhere, neighbour])
}

#[test]
fn on_reuse_revokes_nothing_the_family_or_the_subject() {
    for (act, alive) in [
        (OnReuse::RejectOnly, [true, true, true]),
        (OnReuse::RevokeFamily, [false, true, true]),
        (OnReuse::RevokeSubject, [false, false, true]),
    ] {
        let (bench, tokens) = theft(act);
        let live: Vec<_> = tokens.iter().map(|token| bench.live(token).is_ok()).collect();
        assert_eq!(live, alive, "{act:?}");
    }
}

#[test]
fn revoke_subject_on_reuse_has_one_event_for_each_family() {
    let (bench, _) = theft(OnReuse::RevokeSubject);
    assert_eq!(bench.told(), [("revoke_reuse", None), ("reuse_revoke_subject", Some(Reason::SpentToken))]);
}

#[test]
fn revoke_subject_cut_off_is_resumed_by_the_spent_token() {
    // A read, a listing and a look for a newer key, a read and a write for the other family, the same listing and look, and the
    // family's own write.
    for step in 0..8 {
        let policies = policy(|p| p.on_reuse(OnReuse::RevokeSubject));
        let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), policies);
        let first = bench.login();
        let second = bench.refresh(rt(&first)).unwrap();
        let elsewhere = bench.begin(grant_of("user-1", "client-2"));
        bench.pass(60);
        bench.issuer.store().fail_after(step, Fault::Unavailable);
        assert_eq!(bench.attempt(rt(&first)).unwrap_err(), ErrorKind::StoreUnavailable, "step {step}");
        assert!(bench.live(&second).is_ok(), "its own family comes last");
        assert_eq!(bench.live(&elsewhere).is_ok(), step < 5, "step {step}");
        assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
        assert_eq!(bench.live(&elsewhere), Err(VerifyError::Revoked));
        assert_eq!(bench.live(&second), Err(VerifyError::Revoked));
    }
}

#[test]
fn client_policy_decides_about_its_rotation_and_leeway() {
    let policies = PolicySet::new(RotationPolicy::standard()).with_client("client-1", RotationPolicy::strict());
    let bench = bench(policies);
    let first = bench.login();
    bench.refresh(rt(&first)).unwrap();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    let other = bench.begin(grant_of("user-1", "client-2"));
    let client = Client::public("client-2");
    let again = || bench.ask(RefreshRequest::new(&client, rt(&other)));
    assert!(!again().unwrap().retry);
    assert!(again().unwrap().retry);
}

#[test]
fn fractions_of_a_second_lengthen_no_leeway() {
    let bench = bench(policy(|p| p.reuse_leeway(Duration::from_millis(500))));
    let first = bench.login();
    bench.refresh(rt(&first)).unwrap();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn reuse_revokes_the_family_despite_another_damaged_record() {
    let bench = bench(policy(|p| p.on_reuse(OnReuse::RevokeSubject)));
    let (stolen, other) = (bench.begin(grant()), bench.begin(grant()));
    let second = bench.refresh(rt(&stolen)).unwrap();
    bench.pass(31);
    let key = bench.family(&other).record_key();
    let mut damaged = block_on(bench.issuer.store().get(key)).unwrap().unwrap();
    damaged.version += 1;
    assert_eq!(block_on(bench.issuer.store().commit(damaged)).unwrap(), Commit::Applied);
    bench.told();
    assert_eq!(bench.attempt(rt(&stolen)).unwrap_err(), ErrorKind::CorruptRecord, "the fault is told");
    assert_eq!(bench.told(), [("reuse_revoke_subject", Some(Reason::SpentToken))]);
    assert!(bench.live(&second).is_err());
}
