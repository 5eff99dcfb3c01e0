//! A client that disconnects: the future of its request is dropped at every await point, and the client comes back with the
//! same token. No login is lost, no revocation, and no token has two successors.

#[cfg(feature = "redb")]
#[path = "support/in_file.rs"]
mod in_file;
mod support;

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

#[cfg(feature = "redb")]
use in_file::InFile;
use mcp_token_lifecycle::{
    AuthorizeRequest, CodeChallenge, DynTokenStore, ErrorCode, MemoryStore, OnReuse, Reason, RedeemRequest,
    RefreshRequest, RevocationReason, RotationPolicy, Select, TokenResponse, TokenStore, VerifyError,
};
use support::pausing::{Pausing, cut_off};
use support::*;

type Store = Arc<dyn DynTokenStore>;

/// Cut `act` off after 0, 1, 2, … polls, on a fresh store each time, until it comes to its end; `check` looks at what is left.
/// `begin` sets the scene. Returns at how many suspensions it was cut.
fn at_every_cut<W, T>(
    open: fn() -> Store,
    policy: RotationPolicy,
    begin: impl Fn(&Bench<Store>) -> W,
    act: impl AsyncFn(&Bench<Store>, &W) -> T,
    check: impl Fn(&Bench<Store>, &W, Option<T>),
) -> usize {
    let to_its_end = |polls: &usize| {
        println!("dropped after {polls} polls");
        let bench = bench_on(open(), keyring(), policy);
        let world = begin(&bench);
        let output = cut_off(act(&bench, &world), *polls);
        let ended = output.is_some();
        check(&bench, &world, output);
        ended
    };
    (0..).find(to_its_end).unwrap() - 1
}

fn memory() -> Store {
    Arc::new(MemoryStore::new())
}

fn pausing_memory() -> Store {
    Arc::new(Pausing(MemoryStore::new()))
}

/// With its real suspensions: the file is written by a thread of its own.
#[cfg(feature = "redb")]
fn file() -> Store {
    Arc::new(InFile::new())
}

#[cfg(feature = "redb")]
fn pausing_file() -> Store {
    Arc::new(Pausing(InFile::new()))
}

const STORES: &[fn() -> Store] = &[
    memory,
    pausing_memory,
    #[cfg(feature = "redb")]
    file,
    #[cfg(feature = "redb")]
    pausing_file,
];

/// Spend a refresh token or a code.
async fn spend(bench: &Bench<Store>, token: &str) -> Result<TokenResponse, ErrorCode> {
    let client = client();
    verdict(if token.starts_with("mcpac_") {
        bench.issuer.redeem(&RedeemRequest::new(&client, token, REDIRECT, VERIFIER)).await
    } else {
        bench.issuer.refresh(&RefreshRequest::new(&client, token)).await
    })
}

fn new_refresh_token(bench: &Bench<Store>) -> String {
    rt(&bench.begin(grant())).to_owned()
}

/// `response` is of no use any more.
fn assert_dead(bench: &Bench<Store>, response: &TokenResponse) {
    assert_eq!(bench.live(response), Err(VerifyError::Revoked));
    assert!(!bench.introspect(rt(response)).is_active());
    assert_eq!(bench.refresh(rt(response)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn at_every_cut_drops_before_and_after_each_store_call() {
    let cuts = |open| {
        let refresh = async |bench: &Bench<Store>, token: &String| spend(bench, token).await;
        at_every_cut(open, RotationPolicy::standard(), new_refresh_token, refresh, |_, _, _| {})
    };
    assert_eq!(cuts(memory), 0);
    assert_eq!(cuts(pausing_memory), 4, "before and after the read, before and after the write");
}

fn the_retry_is_answered(policy: RotationPolicy, wait: u64, token: fn(&Bench<Store>) -> String) {
    for open in STORES {
        let check = |bench: &Bench<Store>, token: &String, output: Option<Result<TokenResponse, ErrorCode>>| {
            bench.pass(wait);
            let retried = block_on(spend(bench, token)).expect("the login is not lost");
            let successors: HashSet<_> = output.iter().flatten().chain([&retried]).map(rt).collect();
            assert_eq!(successors.len(), 1);
            assert_eq!(bench.claims(&retried).generation(), 2, "one rotation");
            let next = bench.refresh(rt(&retried)).expect("the session goes on");
            assert_eq!(bench.claims(&next).generation(), 3);
            let told = bench.told();
            assert!(told.iter().all(|(act, _)| !act.contains("reuse") && *act != "deny"), "{told:?}");
        };
        at_every_cut(*open, policy, token, async |bench, token| spend(bench, token).await, check);
    }
}

/// A code is used once: after an answer its second use ends the session, and without one it is the first that counts.
#[test]
fn redeem_dropped_anywhere_is_answered_on_retry() {
    for (policy, wait) in [(RotationPolicy::standard(), 29), (RotationPolicy::shared_credential(), 59)] {
        for open in STORES {
            let check = |bench: &Bench<Store>, code: &String, output: Option<Result<TokenResponse, ErrorCode>>| {
                bench.pass(wait);
                let retried = block_on(spend(bench, code));
                match output.into_iter().flatten().next() {
                    None => assert_eq!(bench.claims(&retried.expect("the login is not lost")).generation(), 1),
                    Some(answered) => {
                        assert_eq!(retried.unwrap_err(), ErrorCode::InvalidGrant);
                        assert_dead(bench, &answered);
                    }
                }
            };
            at_every_cut(*open, policy, Bench::code, async |bench, token| spend(bench, token).await, check);
        }
    }
}

#[test]
fn refresh_dropped_anywhere_is_answered_on_retry() {
    the_retry_is_answered(RotationPolicy::standard(), 29, new_refresh_token);
    the_retry_is_answered(RotationPolicy::shared_credential(), 119, new_refresh_token);
}

/// Without a leeway a request that was answered is reuse when it comes again. One that was dropped before its answer is not.
#[test]
fn strict_policy_answers_retry_of_dropped_request() {
    for token in [Bench::code, new_refresh_token] {
        for open in STORES {
            let (answered, reused) = (Cell::new(0), Cell::new(0));
            let check = |bench: &Bench<Store>, token: &String, output: Option<Result<TokenResponse, ErrorCode>>| {
                bench.told();
                match block_on(spend(bench, token)) {
                    Ok(successor) => {
                        assert!(output.is_none());
                        bench.refresh(rt(&successor)).expect("the session goes on");
                        answered.set(answered.get() + 1);
                    }
                    Err(code) => {
                        assert_eq!(code, ErrorCode::InvalidGrant);
                        assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::SpentToken))]);
                        assert_dead(bench, output.iter().flatten().next().expect("it was answered"));
                        reused.set(reused.get() + 1);
                    }
                }
            };
            let act = async |bench: &Bench<Store>, token: &String| spend(bench, token).await;
            let cuts = at_every_cut(*open, RotationPolicy::strict(), token, act, check);
            assert_eq!((answered.get(), reused.get()), (cuts + 1, 1), "never polled, each cut, and to its end");
        }
    }
}

/// A login, and the tokens by which its client may revoke it: current, spent, and for the resource.
fn revocable(bench: &Bench<Store>) -> (TokenResponse, [String; 4]) {
    let code = bench.code();
    let first = bench.redeem(&code).unwrap();
    let second = bench.refresh(rt(&first)).unwrap();
    let tokens = [code, rt(&first).into(), rt(&second).into(), second.access_token.expose().into()];
    (second, tokens)
}

#[test]
fn revoke_dropped_anywhere_is_completed_by_retry() {
    for policy in [RotationPolicy::standard(), RotationPolicy::strict()] {
        for open in STORES {
            for token in 0..4 {
                let revoke = async |bench: &Bench<Store>, (_, tokens): &(TokenResponse, [String; 4])| {
                    bench.issuer.revoke(&client(), &tokens[token], None).await.expect("no fault of the server");
                };
                at_every_cut(*open, policy, revocable, revoke, |bench, world, output| {
                    if output.is_none() {
                        block_on(revoke(bench, world));
                    }
                    assert_dead(bench, &world.0);
                });
            }
        }
    }
}

/// Three logins of one user with one client.
fn logins(bench: &Bench<Store>) -> [TokenResponse; 3] {
    [bench.login(), bench.login(), bench.login()]
}

#[test]
fn revoke_subject_or_client_dropped_is_completed_by_retry() {
    for open in STORES {
        for revoke_client in [false, true] {
            let revoke = async |bench: &Bench<Store>, _: &[TokenResponse; 3]| match revoke_client {
                false => bench.issuer.revoke_subject("user-1").await.expect("no fault of the server"),
                true => bench.issuer.revoke_client("client-1").await.expect("no fault of the server"),
            };
            at_every_cut(*open, RotationPolicy::standard(), logins, revoke, |bench, logins, output| {
                if output.is_none() {
                    block_on(revoke(bench, logins));
                }
                logins.iter().for_each(|login| assert_dead(bench, login));
            });
        }
    }
}

/// A login that has rotated, and its first refresh token is spent beyond any leeway.
fn spent(bench: &Bench<Store>) -> (String, TokenResponse) {
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(31);
    bench.told();
    (rt(&first).to_owned(), second)
}

#[test]
fn reuse_dropped_anywhere_revokes_family_on_next_use() {
    for policy in [RotationPolicy::standard(), RotationPolicy::strict()] {
        for open in STORES {
            for victim_goes_on in [false, true] {
                let reuse =
                    async |bench: &Bench<Store>, (spent, _): &(String, TokenResponse)| spend(bench, spent).await;
                at_every_cut(*open, policy, spent, reuse, |bench, world, _| {
                    let (spent, second) = world;
                    let third = victim_goes_on.then(|| bench.refresh(rt(second)).ok()).flatten();
                    assert_eq!(block_on(spend(bench, spent)).unwrap_err(), ErrorCode::InvalidGrant);
                    third.iter().chain([second]).for_each(|response| assert_dead(bench, response));
                    // The act itself, or, if that was dropped right after its write, that the family died of it.
                    let told = bench.told();
                    let of_reuse = |(act, reason): &(&str, Option<Reason>)| {
                        *act == "reuse_revoke_family" || *reason == Some(Reason::Revoked(RevocationReason::Reuse))
                    };
                    assert!(told.iter().any(of_reuse), "{told:?}");
                    assert!(told.iter().filter(|(act, _)| *act == "reuse_revoke_family").count() <= 1);
                });
            }
        }
    }
}

#[test]
fn reuse_with_revoke_subject_dropped_ends_all_sessions() {
    let policy = policy(|policy| policy.on_reuse(OnReuse::RevokeSubject));
    for open in STORES {
        let begin = |bench: &Bench<Store>| (logins(bench), spent(bench));
        let reuse = async |bench: &Bench<Store>, world: &([TokenResponse; 3], (String, TokenResponse))| {
            spend(bench, &world.1.0).await
        };
        at_every_cut(*open, policy, begin, reuse, |bench, (others, (spent, second)), _| {
            assert_eq!(block_on(spend(bench, spent)).unwrap_err(), ErrorCode::InvalidGrant);
            others.iter().chain([second]).for_each(|login| assert_dead(bench, login));
        });
    }
}

/// The store holds a whole family or none, and the user logs in again.
fn nothing_or_a_whole_family(bench: &Bench<Store>, ended: bool) -> usize {
    // Behind any write that is still under way.
    bench.begin(grant_of("user-2", "client-1"));
    let page = block_on(bench.issuer.store().list(Select::All, None, 10)).unwrap();
    let families = page.records.len() - 1;
    assert!(families <= 1 && (!ended || families == 1));
    bench.refresh(rt(&bench.login())).expect("a new login works");
    // By its index keys, and by its expiry.
    assert_eq!(block_on(bench.issuer.revoke_subject("user-1")).unwrap(), families + 1);
    bench.pass(91 * 24 * 3600);
    assert_eq!(block_on(bench.issuer.purge()).unwrap(), families + 2);
    families
}

#[test]
fn authorize_dropped_anywhere_leaves_no_or_whole_family() {
    for open in STORES {
        let seen = Cell::new([0, 0]);
        let authorize = async |bench: &Bench<Store>, _: &()| {
            let request = AuthorizeRequest::new(grant(), CodeChallenge::of_verifier(VERIFIER), REDIRECT);
            bench.issuer.authorize(request).await.expect("no fault of the server")
        };
        at_every_cut(
            *open,
            RotationPolicy::standard(),
            |_| (),
            authorize,
            |bench, _, output| {
                let families = nothing_or_a_whole_family(bench, output.is_some());
                let mut count = seen.get();
                count[families] += 1;
                seen.set(count);
            },
        );
        assert!(seen.get().iter().all(|count| *count > 0), "{seen:?}");
    }
}

#[test]
fn issue_dropped_anywhere_leaves_no_or_whole_family() {
    for open in STORES {
        let issue = async |bench: &Bench<Store>, _: &()| {
            bench.issuer.issue(grant(), None).await.expect("no fault of the server")
        };
        at_every_cut(
            *open,
            RotationPolicy::standard(),
            |_| (),
            issue,
            |bench, _, output| {
                nothing_or_a_whole_family(bench, output.is_some());
            },
        );
    }
}
