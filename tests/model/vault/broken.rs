//! Every property can fail: with a decision, a runner or a store that is broken on purpose the model finds a way to break it.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use crate::account::Account;
use crate::properties::{
    BOUND_HOLDS, KEYS_ARE_FORGOTTEN, NEW_GRANT_LIVES, NEWEST_STAYS, NOTHING_IS_LOST, ONCE, OWNERS_ARE_APART,
    REVOCATION_ENDS, REVOKED_STAYS_REVOKED,
};
use crate::setup::{Flaw, Left, Setup, full_outbox, one_of_each, owners, plain, sleeper, whole_grants};

/// Finds a shortest way.
fn breaks(property: &'static str, flaw: Flaw, setup: Setup) {
    let found = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let account = Account::new(Setup { flaw: Some(flaw), ..setup });
    let checker = account.checker().finish_when(found).spawn_bfs().join();
    let path = checker.discovery(property);
    assert!(path.is_some(), "the model does not see it");
    println!("{property} - NOT:\n{}", path.unwrap());
}

fn small() -> Setup {
    plain(Left { puts: 1, revokes: 1, leases: 1, ticks: 1, faults: 1, sleeps: 0 }, 2)
}

#[test]
fn claim_taken_over_without_doubt_presents_a_token_twice() {
    let left = Left { puts: 0, revokes: 0, leases: 2, ..small().left };
    breaks(ONCE, Flaw::TakesOverWithoutDoubt, Setup { left, ..small() });
}

#[test]
fn revocation_that_forgets_a_refresh_presents_a_token_twice() {
    breaks(ONCE, Flaw::ForgetsRefresh, small());
}

/// The way is long: the write of new tokens is not confirmed, another operation spends them, the slot becomes empty.
#[test]
fn late_tokens_without_doubt_are_presented_twice() {
    breaks(ONCE, Flaw::TrustsLateTokens, one_of_each());
}

#[test]
fn put_that_is_decided_again_revives_what_was_revoked() {
    let left = Left { leases: 0, ..small().left };
    breaks(REVOKED_STAYS_REVOKED, Flaw::PutsAgain, Setup { left, needs_live_token: false, ..small() });
}

#[test]
fn version_that_restarts_revives_what_was_revoked() {
    breaks(REVOKED_STAYS_REVOKED, Flaw::VersionsRestart, sleeper());
}

#[test]
fn late_tokens_that_are_leased_displace_a_new_authorization() {
    breaks(NEWEST_STAYS, Flaw::LateTokensReturn, small());
}

#[test]
fn failed_revocation_that_is_forgotten_has_no_end() {
    breaks(REVOCATION_ENDS, Flaw::ForgetsFailure, small());
}

#[test]
fn late_tokens_that_are_dropped_silently_are_lost() {
    breaks(NOTHING_IS_LOST, Flaw::DropsLateTokens, small());
}

#[test]
fn secret_that_is_replaced_silently_is_lost() {
    breaks(NOTHING_IS_LOST, Flaw::ReplacesSilently, small());
}

#[test]
fn outbox_without_a_bound_is_found() {
    breaks(BOUND_HOLDS, Flaw::Unbounded, full_outbox());
}

#[test]
fn revocation_abandoned_silently_vanishes() {
    for property in [BOUND_HOLDS, REVOCATION_ENDS, NOTHING_IS_LOST] {
        breaks(property, Flaw::AbandonsSilently, full_outbox());
    }
}

#[test]
fn key_that_counts_as_revoked_is_found() {
    breaks(KEYS_ARE_FORGOTTEN, Flaw::KeyCountsAsRevoked, owners());
}

#[test]
fn pending_revocation_that_is_kept_ends_a_new_grant() {
    breaks(NEW_GRANT_LIVES, Flaw::KeepsPending, whole_grants());
}

#[test]
fn revocation_that_takes_any_secret_reaches_another_session() {
    breaks(OWNERS_ARE_APART, Flaw::TakesAny, owners());
}
