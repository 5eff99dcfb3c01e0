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
fn a_client_alone_with_the_network() {
    check("a client alone", alone(standard()));
}

#[test]
fn a_client_alone_whose_requests_overtake_one_another() {
    check("a client alone, stragglers", Setup { stragglers: true, horizon: 4, ..alone(standard()) });
}

#[test]
fn a_client_alone_with_a_lost_response_window() {
    let setup = Setup { window: Some(3 * LEEWAY), code_retries: 3 * LEEWAY, versions: 5, ..alone(standard()) };
    check("a client alone, lost-response window", setup);
}

#[test]
fn a_client_alone_whose_retries_are_counted() {
    let setup = Setup { versions: 5, ..alone(standard().retry_limit(Some(100))) };
    check("a client alone, retries counted", setup);
}

#[test]
fn a_client_that_logs_out() {
    check("a logout", logout(standard()));
}

#[test]
fn a_client_with_a_key_that_logs_out() {
    check("a logout, bound family", Setup { bound: true, versions: 4, ..logout(standard()) });
}

#[test]
fn a_theft() {
    check("a theft", theft(standard()));
}

#[test]
fn a_theft_without_leeway() {
    check("a theft, no leeway", theft(strict()));
}

#[test]
fn a_theft_with_a_lost_response_window() {
    check(
        "a theft, lost-response window",
        Setup { window: Some(LEEWAY + 1), code_retries: LEEWAY + 1, ..theft(standard()) },
    );
}

#[test]
fn a_theft_and_a_logout() {
    check("a theft and a logout", Setup { logout: true, versions: 3, ..theft(standard()) });
}
