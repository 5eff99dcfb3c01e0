//! Many requests at once for one login, on real threads, through two issuers that share a store. In every order: one
//! rotation, one successor, no client is logged out; and what was revoked is dead.

#[cfg(feature = "redb")]
#[path = "support/in_file.rs"]
mod in_file;
mod support;

use std::collections::HashSet;
use std::sync::Arc;

use mcp_token_lifecycle::{
    CLOCK_TOLERANCE, DynTokenStore, ErrorCode, MemoryStore, Reason, RevocationReason, RotationPolicy, TokenResponse,
    TokenStore, VerifyError,
};
use support::*;

/// The leeway of the standard policy, the tolerance for the clocks of two servers, and a second.
const BEYOND_EVERY_LEEWAY: u64 = 30 + CLOCK_TOLERANCE.as_secs() + 1;

/// Two servers of one deployment.
type Nodes<S> = [Bench<Arc<S>>; 2];

fn nodes<S: TokenStore + ?Sized>(store: Arc<S>) -> Nodes<S> {
    let first = bench_on(Arc::clone(&store), keyring(), RotationPolicy::standard());
    let second = first.twin(store, keyring(), RotationPolicy::standard());
    [first, second]
}

/// 64 refreshes of one token, half of them on each node.
fn refreshes<S: TokenStore + ?Sized>(store: Arc<S>, rounds: u64) {
    const THREADS: usize = 64;
    let nodes = nodes(store);
    let mut current = nodes[0].login();
    for round in 0..rounds {
        nodes[0].told();
        let mut answers =
            simultaneously(THREADS, |thread| nodes[thread % 2].refresh(rt(&current)).expect("no client is logged out"));
        assert_eq!(answers.iter().map(rt).collect::<HashSet<_>>().len(), 1, "one successor");
        let told = nodes[0].told();
        assert_eq!(told.iter().filter(|(act, _)| *act == "rotate").count(), 1, "one rotation: {told:?}");
        assert_eq!(told.iter().filter(|(act, _)| *act == "retry").count(), THREADS - 1, "{told:?}");
        current = answers.swap_remove(0);
        assert_eq!(nodes[1].claims(&current).generation(), round + 2);
        nodes[0].pass(BEYOND_EVERY_LEEWAY);
    }
    nodes[1].refresh(rt(&current)).expect("the session goes on");
}

/// None of these is good for anything, on either node.
fn assert_dead<S: TokenStore + ?Sized>(nodes: &Nodes<S>, responses: impl IntoIterator<Item = TokenResponse>) {
    for response in responses {
        for node in nodes {
            assert_eq!(node.live(&response), Err(VerifyError::Revoked));
            assert_eq!(node.refresh(rt(&response)).unwrap_err(), ErrorCode::InvalidGrant);
        }
    }
}

/// Two refreshes against a revocation, by the token or of all that the user has.
fn refresh_against_revoke<S: TokenStore + ?Sized>(store: Arc<S>, rounds: u64) {
    let nodes = nodes(store);
    let mut survived_for_a_while = 0;
    for round in 0..rounds {
        let login = nodes[0].login();
        // So that a refresh moves the expiry of the record too.
        nodes[0].pass(24 * 3600);
        let answers = simultaneously(3, |thread| match (thread + round as usize) % 3 {
            0 if round % 2 == 0 => {
                nodes[1].revoke(&client(), rt(&login));
                None
            }
            0 => {
                block_on(nodes[1].issuer.revoke_subject("user-1")).expect("no fault of the server");
                None
            }
            node => nodes[node - 1].refresh(rt(&login)).ok(),
        });
        let refreshed: Vec<_> = answers.into_iter().flatten().collect();
        survived_for_a_while += usize::from(!refreshed.is_empty());
        assert!(refreshed.iter().map(rt).collect::<HashSet<_>>().len() <= 1, "one successor");
        assert_dead(&nodes, refreshed);
        assert_eq!(nodes[0].refresh(rt(&login)).unwrap_err(), ErrorCode::InvalidGrant);
    }
    println!("{rounds} rounds, in {survived_for_a_while} of them a refresh came first; no survivor");
}

/// A stolen spent token against the victim's refresh of the current one.
fn reuse_against_refresh<S: TokenStore + ?Sized>(store: Arc<S>, rounds: u64) {
    let nodes = nodes(store);
    let mut survived_for_a_while = 0;
    for round in 0..rounds {
        let first = nodes[0].login();
        let second = nodes[0].refresh(rt(&first)).unwrap();
        nodes[0].pass(BEYOND_EVERY_LEEWAY);
        nodes[0].told();
        let answers = simultaneously(4, |thread| match (thread + round as usize) % 4 {
            0 | 1 => nodes[thread % 2].refresh(rt(&first)).map_err(|code| assert_eq!(code, ErrorCode::InvalidGrant)),
            _ => nodes[thread % 2].refresh(rt(&second)).map_err(drop),
        });
        let told = nodes[0].told();
        assert_eq!(told.iter().filter(|(act, _)| *act == "reuse_revoke_family").count(), 1, "one theft: {told:?}");
        let refreshed: Vec<_> = answers.into_iter().flatten().collect();
        survived_for_a_while += usize::from(!refreshed.is_empty());
        assert!(refreshed.iter().all(|response| rt(response) == rt(&refreshed[0])), "one successor, and the victim's");
        assert_dead(&nodes, refreshed.into_iter().chain([second]));
        let reason = Some(Reason::Revoked(RevocationReason::Reuse));
        assert!(nodes[0].told().iter().all(|told| *told == ("deny", reason)));
    }
    println!("{rounds} rounds, in {survived_for_a_while} of them a refresh came first; no survivor");
}

/// A revocation of all that a user has, in the middle of a key rotation: the servers write with different primary keys, and a
/// refresh and a re-key move the user's families to the new key while they are listed.
fn revoke_against_key_rotation<S: TokenStore + ?Sized>(store: Arc<S>, rounds: u64) {
    let first = bench_on(Arc::clone(&store), mid_rotation(1), RotationPolicy::standard());
    let second = first.twin(store, mid_rotation(2), RotationPolicy::standard());
    let nodes = [first, second];
    let mut survived_for_a_while = 0;
    for round in 0..rounds {
        let user = format!("user-{round}");
        let logins: [_; 3] = std::array::from_fn(|_| nodes[0].begin(grant_of(&user, "client-1")));
        let revoker = &nodes[usize::from(round % 4 == 3)];
        let answers = simultaneously(3, |thread| match (thread as u64 + round) % 3 {
            0 => block_on(revoker.issuer.revoke_subject(&user)).map(|count| assert_eq!(count, 3)).map(|()| Vec::new()),
            1 => block_on(nodes[1].issuer.rekey()).map(|_| Vec::new()),
            _ => Ok(logins.iter().filter_map(|login| nodes[1].refresh(rt(login)).ok()).collect()),
        });
        let refreshed: Vec<_> =
            answers.into_iter().flat_map(|answer| answer.expect("no fault of the server")).collect();
        survived_for_a_while += usize::from(!refreshed.is_empty());
        assert_dead(&nodes, refreshed.into_iter().chain(logins));
    }
    println!("{rounds} rounds, in {survived_for_a_while} of them a refresh came first; no survivor");
}

macro_rules! races {
    ($store:ident, $open:expr, $refreshes:literal, $revocations:literal) => {
        mod $store {
            use super::*;

            #[test]
            fn refresh_by_64_threads_rotates_once_and_has_one_successor() {
                refreshes($open, $refreshes);
            }

            #[test]
            fn revoke_racing_a_refresh_leaves_no_survivor() {
                refresh_against_revoke($open, $revocations);
            }

            #[test]
            fn revoke_subject_racing_a_key_rotation_leaves_no_survivor() {
                revoke_against_key_rotation($open, $revocations / 3);
            }

            #[test]
            fn reuse_racing_the_victims_refresh_leaves_no_survivor() {
                reuse_against_refresh($open, $revocations);
            }
        }
    };
}

races!(memory, Arc::new(MemoryStore::new()), 20, 600);
races!(chosen_at_run_time, Arc::new(MemoryStore::new()) as Arc<dyn DynTokenStore>, 20, 600);
#[cfg(feature = "redb")]
races!(file, Arc::new(in_file::InFile::new()), 20, 150);
