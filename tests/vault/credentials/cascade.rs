//! What ends on this server ends upstream: by session, subject, client, and for reuse.

use std::sync::Arc;

use mcp_token_lifecycle::vault::{Account, BoundTo, VaultErrorKind};
use mcp_token_lifecycle::{
    AccessClaims, Action, AuditSink, Client, Commit, MemoryStore, OnReuse, RefreshRequest, RevocationReason,
    RotationPolicy, TokenIssuer, TokenResponse, TokenStore,
};

use crate::service::{DOWN, Service};
use crate::support::pausing::Pausing;
use crate::support::{Fault, Op, TestAudit, block_on, client, grant, grant_of, keyring, policy, rt, verdict};
use crate::world::*;

/// An issuer whose events the vault follows, and the vault, on one store.
struct Site {
    world: World<Flaky>,
    issuer: TokenIssuer<Flaky>,
    issued: TestAudit,
}

impl Site {
    fn new(policy: RotationPolicy) -> Self {
        let mut world = world_with(Service::default());
        let numbered = (0..8).map(|number| format!("service-{number}"));
        for service in
            ["client", "first-session", "second-session", "user"].map(String::from).into_iter().chain(numbered)
        {
            world.vault = world.vault.with_provider(service, world.service.clone());
        }
        let issued = TestAudit::default();
        let issuer = TokenIssuer::new(world.store.clone(), keyring())
            .with_policies(policy)
            .with_clock(world.sim.clone())
            .with_audit(world.vault.revocation_sink(issued.clone()));
        Self { world, issuer, issued }
    }

    fn login(&self, subject: &str, client_id: &str) -> (TokenResponse, AccessClaims) {
        let tokens = block_on(self.issuer.issue(grant_of(subject, client_id), None)).unwrap();
        let here = crate::support::resource();
        let expected = mcp_token_lifecycle::Expectation::resource(&here);
        let claims = self.issuer.verify(tokens.access_token.expose(), &expected).unwrap();
        (tokens, claims)
    }

    fn put(&self, subject: &str, service: &str, owner: BoundTo) {
        let account = Account::new(subject, service);
        self.world.sim.run(self.world.vault.put(&account, self.world.tokens(), owner)).unwrap();
    }

    /// The services at which `subject` still has something, once all is done that was set off.
    fn left(&self, subject: &str) -> Vec<String> {
        self.world.sim.settle();
        let listed = self.world.sim.run(self.world.vault.list(subject)).unwrap();
        listed.iter().map(|info| info.service.to_string()).collect()
    }

    fn refresh(&self, client: &Client, token: &str) -> Option<TokenResponse> {
        verdict(block_on(self.issuer.refresh(&RefreshRequest::new(client, token)))).ok()
    }
}

/// A user with two sessions and something bound to each, to a client, and to nothing but the user; and another user.
fn busy(policy: RotationPolicy) -> (Site, [(TokenResponse, AccessClaims); 2]) {
    let site = Site::new(policy);
    let logins = [site.login("user-1", "client-1"), site.login("user-1", "client-2")];
    site.put("user-1", "first-session", BoundTo::subject().session(logins[0].1.family()));
    site.put("user-1", "second-session", BoundTo::subject().session(logins[1].1.family()));
    site.put("user-1", "client", BoundTo::subject().client("client-1"));
    site.put("user-1", "user", BoundTo::subject());
    site.login("user-2", "client-1");
    site.put("user-2", "client", BoundTo::subject().client("client-1"));
    site.put("user-2", "user", BoundTo::subject());
    (site, logins)
}

#[test]
fn a_logout_ends_what_is_bound_to_the_session() {
    let (site, [(first, _), _]) = busy(RotationPolicy::standard());
    block_on(site.issuer.revoke(&client(), rt(&first), None)).unwrap();
    assert_eq!(site.left("user-1"), ["client", "second-session", "user"]);
    assert_eq!(site.left("user-2"), ["client", "user"]);
}

#[test]
fn the_end_of_a_subject_ends_all_that_the_subject_has() {
    let (site, _) = busy(RotationPolicy::standard());
    block_on(site.issuer.revoke_subject("user-1")).unwrap();
    assert_eq!(site.left("user-1"), [""; 0]);
    assert_eq!(site.left("user-2"), ["client", "user"]);
}

#[test]
fn the_end_of_a_client_ends_what_is_bound_to_it_and_to_its_sessions() {
    let (site, _) = busy(RotationPolicy::standard());
    block_on(site.issuer.revoke_client("client-1")).unwrap();
    assert_eq!(site.left("user-1"), ["second-session", "user"]);
    assert_eq!(site.left("user-2"), ["user"]);
}

#[test]
fn reuse_ends_as_much_here_as_the_policy_says() {
    let cases = [
        (OnReuse::RevokeFamily, vec!["client", "second-session", "user"]),
        (OnReuse::RejectOnly, vec!["client", "first-session", "second-session", "user"]),
        (OnReuse::RevokeSubject, vec![]),
    ];
    for (on_reuse, left) in cases {
        let (site, [(first, _), _]) = busy(policy(|policy| policy.on_reuse(on_reuse)));
        site.refresh(&client(), rt(&first)).unwrap();
        site.world.pass(31);
        assert!(site.refresh(&client(), rt(&first)).is_none());
        assert_eq!(site.left("user-1"), left, "{on_reuse:?}");
        assert_eq!(site.left("user-2"), ["client", "user"]);
    }
}

#[test]
fn events_are_passed_on_and_harmless_ones_end_nothing() {
    let (site, [(first, _), _]) = busy(RotationPolicy::standard());
    site.refresh(&client(), rt(&first)).unwrap();
    assert!(site.refresh(&Client::public("client-2"), rt(&first)).is_none());
    assert_eq!(site.left("user-1").len(), 4);
    let told: Vec<_> = site.issued.events().iter().map(|event| event.action.as_str()).collect();
    assert_eq!(told, ["issue", "issue", "issue", "rotate", "deny"]);
}

#[test]
fn each_cascade_can_be_set_off_by_hand_and_counts() {
    let (site, [(_, claims), _]) = busy(RotationPolicy::standard());
    let (run, vault) = (&site.world.sim, &site.world.vault);
    assert_eq!(run.run(vault.revoke_session(claims.family())).unwrap(), 1);
    assert_eq!(run.run(vault.revoke_client("client-1")).unwrap(), 2);
    assert_eq!(run.run(vault.revoke_subject("user-1")).unwrap(), 2);
    assert_eq!(run.run(vault.revoke_subject("user-1")).unwrap(), 0);
    assert_eq!(site.world.service.revoked().len(), 5);
    assert_eq!(site.left("user-2"), ["user"]);
}

#[test]
fn a_service_that_fails_holds_up_no_other_and_is_told_later() {
    let site = Site::new(RotationPolicy::standard());
    site.put("user-1", SERVICE, BoundTo::subject());
    let named = account().named("work");
    site.world.sim.run(site.world.vault.put(&named, site.world.tokens(), BoundTo::subject())).unwrap();
    site.world.service.then_at_revocation(DOWN);
    assert_eq!(site.world.sim.run(site.world.vault.revoke_subject("user-1")).unwrap(), 2);
    assert_eq!(site.world.service.revoked().len(), 1);
    site.world.pass(2);
    assert_eq!(site.world.sim.run(site.world.vault.retry_revocations()).unwrap(), 1);
    assert_eq!(site.left("user-1"), [""; 0]);
}

/// The store fails after the first was written as revoked.
#[test]
fn a_cascade_that_meets_a_fault_finishes_what_it_has_begun_and_can_be_repeated() {
    let site = Site::new(RotationPolicy::standard());
    site.put("user-1", SERVICE, BoundTo::subject());
    site.put("user-1", "user", BoundTo::subject());
    let revoke = || site.world.sim.run(site.world.vault.revoke_subject("user-1"));
    // A listing, and the write of the first. That of the second fails.
    site.world.store.fail_after(2, Fault::Unavailable);
    revoke().unwrap_err();
    assert_eq!(site.world.service.revoked().len(), 1);
    assert_eq!(revoke().unwrap(), 1, "the second was still leased");
    assert_eq!(site.world.service.revoked().len(), 2);
    assert_eq!(site.left("user-1"), [""; 0]);
}

/// More than are revoked at once, and the caller is dropped wherever it may be.
#[test]
fn a_user_is_offboarded_to_the_end_though_the_caller_is_dropped() {
    let ends = |rounds: &usize| {
        let world = world_on(Arc::new(Pausing(MemoryStore::new())), Service::default());
        for number in 0..10 {
            let account = account().named(number.to_string());
            world.sim.run(world.vault.put(&account, world.tokens(), BoundTo::subject())).unwrap();
        }
        let ended = world.sim.run_for(world.vault.revoke_subject("user-1"), *rounds).is_some();
        world.sim.settle();
        let left = world.sim.run(world.vault.list("user-1")).unwrap().len();
        assert!(left == 0 && world.service.revoked().len() == 10 || left == 10 && *rounds == 0, "{rounds}: {left}");
        ended
    };
    let cuts = (0..).find(ends).unwrap() - 1;
    assert!(cuts > 20, "{cuts} cuts");
}

#[test]
fn a_cascade_outlives_an_outage_of_the_store() {
    let (site, [(first, _), _]) = busy(RotationPolicy::standard());
    block_on(site.issuer.revoke(&client(), rt(&first), None)).unwrap();
    site.world.store.fail_every(Op::List, Fault::Unavailable);
    site.world.sim.run(site.world.sim.runtime_sleep(std::time::Duration::from_secs(60)));
    site.world.store.heal();
    assert_eq!(site.left("user-1"), ["client", "second-session", "user"]);
}

#[test]
fn a_cascade_that_gives_up_tells_the_followed_sink_of_whom() {
    let (site, [(_, first), _]) = busy(RotationPolicy::standard());
    site.world.store.fail_every(Op::List, Fault::Unavailable);
    let mut event = site.issued.take().pop().unwrap();
    event.action = Action::Revoke(RevocationReason::Client);
    (event.family, event.client_id) = (Some(first.family()), Some("client-1".into()));
    site.world.told();
    site.world.vault.revocation_sink(site.issued.clone()).record(&event);
    site.world.sim.settle();
    let told = site.issued.take().split_off(1);
    let missed: Vec<_> =
        told.iter().map(|event| (event.action.as_str(), event.family, event.client_id.as_deref())).collect();
    assert_eq!(missed, [("fail", None, Some("client-1")), ("fail", Some(first.family()), None)]);
    assert_eq!(site.world.audit.take(), told);
    site.world.store.heal();
    assert_eq!(site.world.sim.run(site.world.vault.revoke_client("client-1")).unwrap(), 2, "somebody does it by hand");
}

/// Which is why whoever offboards calls the vault as well.
#[test]
fn a_subject_without_a_living_session_ends_nothing_by_itself() {
    let site = Site::new(RotationPolicy::standard());
    site.put("user-1", "user", BoundTo::subject());
    assert_eq!(block_on(site.issuer.revoke_subject("user-1")).unwrap(), 0);
    assert_eq!(site.left("user-1"), ["user"]);
    assert_eq!(site.world.sim.run(site.world.vault.revoke_subject("user-1")).unwrap(), 1);
    assert_eq!(site.left("user-1"), [""; 0]);
}

/// The process ended after the revocation was written, and before anybody heard of it; and a session that just expires.
#[test]
fn what_a_crash_has_left_behind_is_found_by_a_reconciliation() {
    let (site, [(first, _), _]) = busy(RotationPolicy::standard());
    let deaf = TokenIssuer::new(site.world.store.clone(), keyring()).with_clock(site.world.sim.clone());
    assert_eq!(site.world.sim.run(site.world.vault.reconcile(&deaf)).unwrap(), 0);
    block_on(deaf.revoke(&client(), rt(&first), None)).unwrap();
    assert_eq!(site.left("user-1").len(), 4);
    assert_eq!(site.world.sim.run(site.world.vault.reconcile(&deaf)).unwrap(), 1);
    assert_eq!(site.left("user-1"), ["client", "second-session", "user"]);
    // The second session dies of disuse, and its record is purged.
    site.world.pass(91 * 24 * 3600);
    block_on(deaf.purge()).unwrap();
    assert_eq!(site.world.sim.run(site.world.vault.reconcile(&deaf)).unwrap(), 1);
    assert_eq!(site.world.sim.run(site.world.vault.reconcile(&deaf)).unwrap(), 0);
}

#[test]
fn a_session_that_cannot_be_read_holds_up_no_reconciliation_of_another() {
    let site = Site::new(RotationPolicy::standard());
    let names: Vec<_> = (0..8).map(|number| format!("service-{number}")).collect();
    let families: Vec<_> = names
        .iter()
        .map(|name| {
            let (_, claims) = site.login("user-1", "client-1");
            site.put("user-1", name, BoundTo::subject().session(claims.family()));
            claims.family()
        })
        .collect();
    let deaf = TokenIssuer::new(site.world.store.clone(), keyring()).with_clock(site.world.sim.clone());
    block_on(deaf.revoke_subject("user-1")).unwrap();
    // Half of them, so that some come before others in whatever order.
    for family in &families[..4] {
        let mut record = block_on(site.world.store.get(family.record_key())).unwrap().unwrap();
        record.version += 1;
        *record.payload.last_mut().unwrap() ^= 1;
        assert_eq!(block_on(site.world.store.commit(record)).unwrap(), Commit::Applied);
    }
    let error = site.world.sim.run(site.world.vault.reconcile(&deaf)).unwrap_err();
    assert_eq!(error.kind(), VaultErrorKind::CorruptRecord);
    assert_eq!(site.left("user-1"), names[..4]);
}

/// Both live in one store, and neither touches the other's records.
#[test]
fn an_issuer_on_the_same_store_moves_its_keys_and_leaves_the_vault_alone() {
    let (site, _) = busy(RotationPolicy::standard());
    let ours = |store: &MemoryStore| {
        let page = block_on(mcp_token_lifecycle::TokenStore::list(store, mcp_token_lifecycle::Select::All, None, 100));
        page.unwrap().records.into_iter().filter(|record| record.payload[0] == 3).collect::<Vec<_>>()
    };
    let before = ours(site.world.store.inner());
    let rotated = mcp_token_lifecycle::Keyring::new(
        mcp_token_lifecycle::KeyId::new(2),
        mcp_token_lifecycle::MasterKey::from_bytes([8; 32]),
    );
    let rotated = rotated
        .with_retired(mcp_token_lifecycle::KeyId::new(1), mcp_token_lifecycle::MasterKey::from_bytes([7; 32]))
        .unwrap();
    let issuer = TokenIssuer::new(Arc::clone(&site.world.store), rotated);
    assert_eq!(block_on(issuer.rekey()).unwrap(), 3, "three families");
    assert_eq!((before.len(), ours(site.world.store.inner())), (7, before));
    block_on(issuer.issue(grant(), None)).unwrap();
}
