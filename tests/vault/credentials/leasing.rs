//! Who is leased what.

use std::time::Duration;

use mcp_token_lifecycle::vault::{
    Account, BoundTo, Credential, CredentialKind, CredentialState, CredentialStatus, LeaseError, LeaseRequest,
    LeasedSecret, Secret, SecretText, StaticSecret, TokenSet, UpstreamProvider, VaultErrorKind,
};
use mcp_token_lifecycle::{AccessClaims, Clock, Scope};

use crate::service::{access_token, refresh_token};
use crate::support::scope;
use crate::world::*;

fn key(text: &str) -> Credential {
    Credential::Static(StaticSecret::new(Secret::ApiKey(SecretText::new(text)), scope("repo:read")))
}

#[test]
fn what_was_put_is_leased_with_one_read_and_no_write() {
    let world = world();
    world.put();
    assert_eq!(world.lease().unwrap(), access_token(0));
    world.store.operations();
    let lease = world.sim.run(world.vault.lease(&user(), &need())).unwrap();
    assert_eq!(world.store.operations(), [crate::support::Op::Get]);
    assert!(matches!(lease.secret(), LeasedSecret::Bearer(token) if token == access_token(0)));
    assert_eq!(lease.expires_at(), world.sim.now().saturating_add(Duration::from_secs(1_000)));
    assert_eq!((lease.scope(), lease.is_overdue()), (&scope("repo:read"), false));
    assert_eq!(world.told(), [("upstream_put", None)], "a lease is no event");
}

#[test]
fn the_service_can_be_asked_whether_what_is_held_still_works() {
    let world = world();
    let standing = || world.sim.run(world.vault.introspect(&account())).unwrap();
    assert_eq!(standing(), None);
    world.put();
    assert_eq!(standing(), Some(CredentialStatus::Active));
    // Somebody else refreshes: what is held is spent.
    let Credential::OAuth(tokens) = world.tokens() else { panic!("tokens are put") };
    world.sim.run(world.service.refresh(&tokens)).unwrap();
    assert_eq!(standing(), Some(CredentialStatus::Inactive));
    let elsewhere = Account::new("alice", "elsewhere");
    world.sim.run(world.vault.put(&elsewhere, key("k"), BoundTo::subject())).unwrap();
    assert_eq!(world.sim.run(world.vault.introspect(&elsewhere)).unwrap(), Some(CredentialStatus::Unknown));
}

#[test]
fn lease_is_refused_once_the_claims_token_has_expired() {
    let (world, claims) = (world(), claims_for_now());
    world.sim.run(world.vault.put(&account(), key("k"), BoundTo::subject())).unwrap();
    let good_for = claims.expires_at().since(world.sim.now()).as_secs();
    world.pass(good_for - 1);
    let lease = world.sim.run(world.vault.lease(&claims, &need())).unwrap();
    world.pass(1);
    world.told();
    let other = LeaseRequest::new("elsewhere", scope("repo:read"));
    for need in [need(), other] {
        let refused = world.sim.run(world.vault.lease(&claims, &need)).unwrap_err();
        assert!(matches!(refused, LeaseError::Expired) && refused.status() == 401 && refused.authorize_at().is_none());
        assert_eq!(refused.to_string(), "the access token has expired");
    }
    let refused = world.sim.run(world.vault.lease_after(&claims, &need(), lease)).unwrap_err();
    assert!(matches!(refused, LeaseError::Expired));
    assert_eq!(world.told(), [("upstream_refuse", Some("access_expired")); 3]);
    assert!(world.sim.run(world.vault.lease(&user(), &need())).is_ok(), "another token is another matter");
}

#[test]
fn lease_ends_with_the_claims_token_or_with_the_secret() {
    let (world, claims, lasting_claims) = (world(), claims_for_now(), user());
    world.put();
    let lease = |claims: &AccessClaims| world.sim.run(world.vault.lease(claims, &need())).unwrap().expires_at();
    let secret_ends = world.sim.now().saturating_add(Duration::from_secs(1_000));
    assert!(claims.expires_at() > secret_ends);
    assert_eq!((lease(&claims), lease(&lasting_claims)), (secret_ends, secret_ends));
    world.pass(1_500);
    world.put();
    assert!(claims.expires_at() < world.sim.now().saturating_add(Duration::from_secs(1_000)));
    assert_eq!(lease(&claims), claims.expires_at());
    // A key does not expire, and neither does a token of which the service says nothing.
    let lasting = Credential::OAuth(TokenSet::new(SecretText::new("t"), scope("repo:read")));
    for credential in [key("k"), lasting] {
        world.sim.run(world.vault.put(&account(), credential, BoundTo::subject())).unwrap();
        let ends = (claims.expires_at(), lasting_claims.expires_at());
        assert_eq!((lease(&claims), lease(&lasting_claims)), ends);
    }
}

#[test]
fn each_kind_of_secret_is_leased_as_what_it_is() {
    let world = world();
    let put_and_lease = |secret: Secret| {
        let credential = Credential::Static(StaticSecret::new(secret, Scope::default()));
        world.sim.run(world.vault.put(&account(), credential, BoundTo::subject())).unwrap();
        world.sim.run(world.vault.lease(&user(), &LeaseRequest::new(SERVICE, Scope::default()))).unwrap()
    };
    let lease = put_and_lease(Secret::ApiKey(SecretText::new("k")));
    assert!(matches!(lease.secret(), LeasedSecret::ApiKey("k")));
    let lease = put_and_lease(Secret::password("me", SecretText::new("p")));
    assert!(matches!(lease.secret(), LeasedSecret::Password { username: "me", password: "p", .. }));
    let lease = put_and_lease(Secret::key_pair("AKIA", SecretText::new("s")));
    assert!(matches!(lease.secret(), LeasedSecret::KeyPair { id: "AKIA", secret: "s", .. }));
}

#[test]
fn a_static_secret_past_its_date_is_served_and_reported() {
    let world = world();
    let due = world.sim.now().saturating_add(Duration::from_secs(100));
    let secret = |text: &str| StaticSecret::new(Secret::ApiKey(SecretText::new(text)), scope("repo:read"));
    let credential = Credential::Static(secret("old").rotate_by(due));
    world.sim.run(world.vault.put(&account(), credential, BoundTo::subject())).unwrap();
    world.pass(99);
    assert!(!world.sim.run(world.vault.lease(&user(), &need())).unwrap().is_overdue());
    world.pass(1);
    world.told();
    let lease = world.sim.run(world.vault.lease(&user(), &need())).unwrap();
    assert!(lease.is_overdue() && secret_of(&lease) == "old");
    assert_eq!(world.told(), [("upstream_overdue", None)]);

    assert!(world.sim.run(world.vault.rotate(&account(), secret("new"))).unwrap());
    let lease = world.sim.run(world.vault.lease(&user(), &need())).unwrap();
    assert!(!lease.is_overdue() && secret_of(&lease) == "new");
    assert_eq!(world.told(), [("upstream_rotate", None)]);
    let [info] = &*world.sim.run(world.vault.list("user-1")).unwrap() else { panic!("one credential") };
    assert_eq!((info.generation, info.kind, info.rotate_by), (2, CredentialKind::Static, None));
}

fn secret_of(lease: &mcp_token_lifecycle::vault::Lease) -> String {
    secret(lease)
}

#[test]
fn only_a_static_secret_is_rotated_by_hand() {
    let world = world();
    let new = || StaticSecret::new(Secret::ApiKey(SecretText::new("new")), scope("repo:read"));
    assert!(!world.sim.run(world.vault.rotate(&account(), new())).unwrap(), "there is nothing");
    world.put();
    assert!(!world.sim.run(world.vault.rotate(&account(), new())).unwrap(), "these are tokens");
    assert_eq!(world.lease().unwrap(), access_token(0));
}

#[test]
fn a_rotation_by_hand_that_meets_another_write_is_tried_again() {
    let world = world();
    world.sim.run(world.vault.put(&account(), key("old"), BoundTo::subject())).unwrap();
    world.store.fail_after(1, crate::support::Fault::Conflict);
    let new = StaticSecret::new(Secret::ApiKey(SecretText::new("new")), scope("repo:read"));
    assert!(world.sim.run(world.vault.rotate(&account(), new)).unwrap());
    assert_eq!(world.lease().unwrap(), "new");
}

#[test]
fn a_need_is_met_exactly_or_says_that_more_will_do() {
    let world = world();
    let credential = TokenSet::new(SecretText::new("token"), scope("repo:read repo:write"));
    world.sim.run(world.vault.put(&account(), Credential::OAuth(credential), BoundTo::subject())).unwrap();
    let lease =
        |need: LeaseRequest| world.sim.run(world.vault.lease(&user(), &need)).map(|lease| lease.scope().clone());
    let both = scope("repo:read repo:write");
    assert_eq!(lease(LeaseRequest::new(SERVICE, both.clone())).unwrap(), both);
    assert!(matches!(lease(need()), Err(LeaseError::BroaderThanNeeded)));
    assert_eq!(lease(need().allow_broader()).unwrap(), both);
    let more = LeaseRequest::new(SERVICE, scope("repo:read admin")).allow_broader();
    assert!(matches!(lease(more), Err(LeaseError::InsufficientScope { service, .. }) if &*service == SERVICE));
    let told: Vec<_> = world.told().into_iter().skip(1).collect();
    let refused = |reason| ("upstream_refuse", Some(reason));
    assert_eq!(told, [refused("broader_than_needed"), refused("insufficient_scope")]);
}

#[test]
fn nothing_is_leased_to_another_subject_service_or_account() {
    let world = world();
    world.put();
    let not_found = |claims, need: LeaseRequest| {
        let refused = world.sim.run(world.vault.lease(&claims, &need));
        assert!(matches!(&refused, Err(LeaseError::NotFound { .. })), "{refused:?}");
        refused.unwrap_err().status()
    };
    assert_eq!(not_found(claims_of("user-2", "client-1"), need()), 403);
    not_found(user(), LeaseRequest::new("gitlab", scope("repo:read")));
    not_found(user(), need().account("work"));
    // No name, and an empty one, are two accounts.
    not_found(user(), need().account(""));
    let told = world.audit.take().pop().unwrap();
    let account = (told.subject.as_deref(), told.service.as_deref(), told.account.as_deref());
    assert_eq!(account, (Some("user-1"), Some(SERVICE), Some("")));
    assert!(told.family.is_some() && told.client_id.as_deref() == Some("client-1"));
}

#[test]
fn what_is_bound_to_a_session_or_a_client_is_leased_to_no_other() {
    let world = world();
    let (session, other) = (user(), user());
    world.put_for(BoundTo::subject().session(session.family()));
    let listed = world.sim.run(world.vault.list("user-1")).unwrap();
    assert_eq!((listed[0].bound_to.client_id(), listed[0].bound_to.session_id()), (None, Some(session.family())));
    let lease = |claims| world.sim.run(world.vault.lease(claims, &need())).map(|lease| secret(&lease));
    assert_eq!(lease(&session).unwrap(), access_token(0));
    assert!(matches!(lease(&other), Err(LeaseError::OtherSession)));
    world.put_for(BoundTo::subject().client("client-2"));
    assert!(matches!(lease(&session), Err(LeaseError::OtherClient)));
    assert_eq!(lease(&claims_of("user-1", "client-2")).unwrap(), access_token(0));
}

#[test]
fn a_new_credential_takes_the_place_of_the_old_one() {
    let world = world();
    world.put();
    world.sim.run(world.vault.put(&account(), key("new"), BoundTo::subject())).unwrap();
    assert_eq!(world.lease().unwrap(), "new");
    let listed = world.sim.run(world.vault.list("user-1")).unwrap();
    assert_eq!(listed.iter().map(|info| info.generation).collect::<Vec<_>>(), [2]);
    assert_eq!(world.service.revoked(), [""; 0], "the service is told only if asked");
}

#[test]
fn a_listing_shows_everything_of_one_user_but_the_secrets() {
    let world = world();
    world.put_for(BoundTo::subject().client("client-1"));
    let put = |account: Account| world.sim.run(world.vault.put(&account, key("secret"), BoundTo::subject())).unwrap();
    put(account().named("work"));
    put(Account::new("user-1", "aws"));
    put(Account::new("user-2", "aws"));
    let listed = world.sim.run(world.vault.list("user-1")).unwrap();
    let names: Vec<_> = listed.iter().map(|info| (&*info.service, info.name.as_deref())).collect();
    assert_eq!(names, [("aws", None), (SERVICE, None), (SERVICE, Some("work"))]);
    let tokens = &listed[1];
    assert_eq!((tokens.kind, tokens.state, tokens.generation), (CredentialKind::OAuth, CredentialState::Active, 1));
    assert_eq!(tokens.expires_at, Some(world.sim.now().saturating_add(Duration::from_secs(1_000))));
    assert_eq!((tokens.bound_to.client_id(), tokens.bound_to.session_id()), (Some("client-1"), None));
    assert!(!format!("{listed:?}").contains(&access_token(0)) && !format!("{listed:?}").contains(&refresh_token(0)));
    assert_eq!(world.sim.run(world.vault.list("user-3")).unwrap(), []);
}

#[test]
fn two_vaults_on_one_store_share_what_is_in_it() {
    let world = world();
    world.put();
    let lease = world.sim.run(world.twin().lease(&user(), &need())).unwrap();
    assert_eq!(secret(&lease), access_token(0));
}

#[test]
fn a_credential_too_long_is_refused_and_the_old_one_stays() {
    let world = world();
    world.put();
    let put = |length| world.sim.run(world.vault.put(&account(), key(&"x".repeat(length)), BoundTo::subject()));
    for length in [61_441, 65_300, 65_536] {
        assert_eq!(put(length).unwrap_err().kind(), VaultErrorKind::TooLarge);
        assert_eq!(world.lease().unwrap(), access_token(0));
    }
    put(1).unwrap();
    let rotated = StaticSecret::new(Secret::ApiKey(SecretText::new("x".repeat(61_441))), scope("repo:read"));
    let refused = world.sim.run(world.vault.rotate(&account(), rotated));
    assert_eq!(refused.unwrap_err().kind(), VaultErrorKind::TooLarge);
    assert_eq!(world.lease().unwrap(), "x");
}

/// A revocation writes more than was there before.
#[test]
fn the_longest_credential_that_can_be_put_can_be_revoked() {
    let world = world();
    let put = |length| world.sim.run(world.vault.put(&account(), key(&"x".repeat(length)), BoundTo::subject()));
    let (mut longest, mut too_long) = (1, 65_536);
    while longest + 1 < too_long {
        let between = (longest + too_long) / 2;
        *(if put(between).is_ok() { &mut longest } else { &mut too_long }) = between;
    }
    put(longest).unwrap();
    assert_eq!(world.lease().unwrap().len(), longest);
    let down = || mcp_token_lifecycle::vault::UpstreamError::unavailable("down");
    world.service.then_at_revocation(crate::service::Step::Fail(down));
    assert!(world.sim.run(world.vault.revoke(&account())).unwrap());
    assert!(matches!(world.lease(), Err(LeaseError::Revoked { .. })));
}
