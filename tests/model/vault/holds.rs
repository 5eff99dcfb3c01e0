//! Every property holds.

use std::io::{Write, stderr};
use std::time::Instant;

use stateright::{Checker, Model};

use crate::account::Account;
use crate::setup::{Left, Setup, full_outbox, one_of_each, owners, plain, simple, sleeper, whole_grants};

fn check(name: &str, setup: Setup) {
    let begun = Instant::now();
    let checker = Account::new(setup).checker().spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    // Straight to the stream: what a test prints is not shown when it passes.
    let seconds = begun.elapsed().as_secs();
    let text = format!("model of the vault, {name}: {states} states, up to {depth} steps deep, {seconds} s\n");
    stderr().write_all(text.as_bytes()).unwrap();
    checker.assert_properties();
}

#[test]
fn service_that_needs_a_live_token() {
    check("live token needed", one_of_each());
}

#[test]
fn service_that_revokes_any_token() {
    let left = Left { puts: 1, revokes: 1, leases: 1, ticks: 2, faults: 2, sleeps: 0 };
    check("any token revoked", simple(left, 3));
}

#[test]
fn service_that_revokes_whole_grants() {
    check("whole grants", whole_grants());
}

#[test]
fn two_sessions_and_static_secrets() {
    check("two sessions, static secrets", owners());
}

#[test]
fn outbox_that_is_full() {
    check("a full outbox", full_outbox());
}

#[test]
fn processes_that_sleep() {
    check("sleepers, purge", sleeper());
}

#[test]
fn tokens_that_expire() {
    let left = Left { puts: 1, revokes: 1, leases: 1, ticks: 2, faults: 1, sleeps: 0 };
    check("expiry", Setup { expiry: Some(2), ..simple(left, 3) });
}

#[test]
fn grants_that_the_user_ends() {
    let left = Left { puts: 1, revokes: 1, leases: 2, ticks: 1, faults: 1, sleeps: 0 };
    check("the user ends grants", Setup { user_ends_grants: true, ..simple(left, 2) });
}

#[test]
fn claims_of_two_steps() {
    let left = Left { puts: 1, revokes: 1, leases: 1, ticks: 1, faults: 1, sleeps: 0 };
    check("claims of two steps", Setup { claim: 2, ..simple(left, 4) });
}

/// Two of each operation, three ticks, four steps of the clock.
#[test]
#[ignore = "takes minutes"]
fn many_two_of_each_operation() {
    check("two of each operation", simple(Left { puts: 2, revokes: 2, leases: 2, ticks: 3, ..Left::default() }, 4));
}

#[test]
#[ignore = "takes minutes"]
fn many_two_faults() {
    let left = Left { puts: 1, revokes: 1, leases: 2, ticks: 3, faults: 2, sleeps: 0 };
    check("two faults", simple(left, 4));
}

#[test]
#[ignore = "takes minutes"]
fn many_two_of_each_operation_and_a_fault() {
    let left = Left { puts: 2, revokes: 2, leases: 2, ticks: 1, faults: 1, sleeps: 0 };
    check("two of each operation, a fault", simple(left, 2));
}

#[test]
#[ignore = "takes minutes"]
fn many_two_sessions_and_static_secrets() {
    let left = Left { puts: 2, revokes: 2, leases: 2, ticks: 1, ..Left::default() };
    check("two sessions, static secrets, four steps", Setup { left, end: 4, ..owners() });
}

#[test]
#[ignore = "takes minutes"]
fn many_live_token_needed() {
    let left = Left { puts: 1, revokes: 1, leases: 2, ticks: 2, faults: 1, sleeps: 0 };
    check("live token needed, two leases", plain(left, 3));
}

#[test]
#[ignore = "takes minutes"]
fn many_whole_grants() {
    let left = Left { puts: 2, revokes: 2, leases: 1, ticks: 3, faults: 1, sleeps: 0 };
    check("whole grants, two revocations", Setup { left, end: 4, ..whole_grants() });
    let left = Left { puts: 1, revokes: 1, leases: 1, ticks: 2, faults: 1, sleeps: 0 };
    check("whole grants, live token needed", Setup { left, needs_live_token: true, ..whole_grants() });
}

/// One more than the outbox holds.
#[test]
#[ignore = "takes minutes"]
fn many_full_outbox() {
    let left = Left { puts: 2, revokes: 2, leases: 1, ticks: 1, faults: 1, sleeps: 0 };
    check("a full outbox, a fault", Setup { left, end: 2, ..full_outbox() });
}

#[test]
#[ignore = "takes minutes"]
fn many_processes_that_sleep() {
    let left = Left { puts: 1, revokes: 1, leases: 1, ticks: 1, faults: 1, sleeps: 2 };
    check("two sleepers, purge, a fault", simple(left, 2));
}
