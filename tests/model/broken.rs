//! Every property can fail: with a policy, a decision or a store that is broken on purpose the model finds a way to break it.

use mcp_token_lifecycle::{OnAhead, OnReuse};
use stateright::{Checker, Model};

use crate::deployment::Deployment;
use crate::properties::{DEAD_STAYS_DEAD, HONEST_STAYS_IN, NO_INTRUSION, ONE_SUCCESSOR, REFUSAL_KILLS, THEFT_ENDS};
use crate::request::Lack;
use crate::setup::{Flaw, Setup, alone, logout, standard, strict, theft};

/// Finds a shortest way.
fn breaks(property: &'static str, setup: Setup) {
    let path = (2..20).find_map(|depth| {
        let checker = Deployment::new(setup).checker().target_max_depth(depth).spawn_bfs().join();
        let path = checker.discovery(property)?;
        println!("{property} - NOT:\n{path}{:?}", checker.model().outlook(path.last_state()).intrusion);
        Some(path)
    });
    assert!(path.is_some(), "the model does not see it");
}

fn with(flaw: Flaw, setup: Setup) -> Setup {
    Setup { flaw: Some(flaw), ..setup }
}

#[test]
fn blind_commit_undoes_a_revocation() {
    breaks(DEAD_STAYS_DEAD, with(Flaw::BlindCommit, logout(standard())));
}

#[test]
fn blind_commit_undoes_a_reuse_detection() {
    breaks(DEAD_STAYS_DEAD, with(Flaw::BlindCommit, theft(standard())));
}

#[test]
fn blind_commit_logs_the_client_out() {
    breaks(HONEST_STAYS_IN, with(Flaw::BlindCommit, alone(standard())));
}

#[test]
fn answer_without_a_second_look_outlives_a_logout() {
    breaks(DEAD_STAYS_DEAD, with(Flaw::OneLook, logout(standard())));
}

#[test]
fn strict_policy_logs_client_out_on_a_lost_response() {
    breaks(HONEST_STAYS_IN, alone(strict()));
}

#[test]
fn retry_with_fresh_successor_leaves_two_successors() {
    breaks(ONE_SUCCESSOR, with(Flaw::FreshSuccessor, alone(standard())));
}

#[test]
fn blind_commit_with_fast_forward_leaves_two_successors() {
    breaks(ONE_SUCCESSOR, with(Flaw::BlindCommit, alone(standard().on_ahead(OnAhead::FastForward))));
}

#[test]
fn reject_only_on_reuse_lets_a_theft_go_on() {
    for property in [THEFT_ENDS, REFUSAL_KILLS] {
        breaks(property, theft(standard().on_reuse(OnReuse::RejectOnly)));
    }
}

#[test]
fn decision_ignoring_client_lets_another_client_in() {
    breaks(NO_INTRUSION, with(Flaw::Ignores(Lack::Client), alone(standard())));
}

#[test]
fn decision_ignoring_code_verifier_lets_code_thief_in() {
    breaks(NO_INTRUSION, with(Flaw::Ignores(Lack::Verifier), alone(standard())));
}

#[test]
fn decision_ignoring_binding_lets_token_thief_in() {
    for lack in [Lack::Proof, Lack::Key] {
        breaks(NO_INTRUSION, with(Flaw::Ignores(lack), Setup { bound: true, ..logout(standard()) }));
    }
}

#[test]
fn decision_ignoring_guard_or_mac_lets_forger_in() {
    for lack in [Lack::Guard, Lack::Mac] {
        breaks(NO_INTRUSION, with(Flaw::Ignores(lack), alone(standard())));
    }
}
