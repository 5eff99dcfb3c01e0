//! Every property holds, under every policy.

use std::io::{Write, stderr};

use stateright::{Checker, Model};

use crate::deployment::Deployment;
use crate::setup::{LEEWAY, Setup, alone, logout, standard, strict, theft};

fn check(name: &str, setup: Setup) {
    let checker = Deployment::new(setup).checker().spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    // Straight to the stream: what a test prints is not shown when it passes.
    stderr().write_all(format!("model of {name}: {states} states, up to {depth} steps deep\n").as_bytes()).unwrap();
    checker.assert_properties();
}

#[test]
fn properties_hold_for_client_alone() {
    check("a client alone", alone(standard()));
}

#[test]
fn properties_hold_for_client_alone_with_stragglers() {
    check("a client alone, stragglers", Setup { stragglers: true, horizon: 4, ..alone(standard()) });
}

#[test]
fn properties_hold_for_client_alone_with_lost_response_window() {
    let setup = Setup { window: Some(3 * LEEWAY), code_retries: 3 * LEEWAY, versions: 5, ..alone(standard()) };
    check("a client alone, lost-response window", setup);
}

#[test]
fn properties_hold_for_client_alone_with_retry_limit() {
    let setup = Setup { versions: 5, ..alone(standard().retry_limit(Some(100))) };
    check("a client alone, retries counted", setup);
}

#[test]
fn properties_hold_for_logout() {
    check("a logout", logout(standard()));
}

#[test]
fn properties_hold_for_logout_of_bound_family() {
    check("a logout, bound family", Setup { bound: true, versions: 4, ..logout(standard()) });
}

#[test]
fn properties_hold_for_theft() {
    check("a theft", theft(standard()));
}

#[test]
fn properties_hold_for_theft_without_leeway() {
    check("a theft, no leeway", theft(strict()));
}

#[test]
fn properties_hold_for_theft_with_lost_response_window() {
    check(
        "a theft, lost-response window",
        Setup { window: Some(LEEWAY + 1), code_retries: LEEWAY + 1, ..theft(standard()) },
    );
}

#[test]
fn properties_hold_for_theft_and_logout() {
    check("a theft and a logout", Setup { logout: true, versions: 3, ..theft(standard()) });
}
