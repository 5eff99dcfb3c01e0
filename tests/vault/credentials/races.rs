//! Many callers at the moment of expiry, on real threads, through two vaults that share a store: one refresh, all are served.

use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::vault::{BoundTo, CredentialVault, Runtime};
use mcp_token_lifecycle::{Clock, MemoryStore, TokenStore};

use crate::in_file::InFile;
use crate::service::{Service, access_token};
use crate::support::{TestAudit, TestClock, keyring};
use crate::world::*;

fn runtime() -> Runtime {
    Runtime::new(tokio::time::sleep, |task| {
        tokio::spawn(task);
    })
}

/// `rounds` times 64 leases, half of them on each vault, `late` seconds into a life of 1,000.
async fn rounds<S: TokenStore + 'static>(store: Arc<S>, rounds: usize, late: u64) {
    let (clock, audit, service) = (TestClock::default(), TestAudit::default(), Service::default());
    let vault = || {
        CredentialVault::new(store.clone(), keyring(), runtime())
            .with_provider(SERVICE, service.clone())
            // The patience is in real time, and the machine may be busy.
            .with_policy(builder().patience(Duration::from_secs(60)).build().unwrap())
            .with_clock(clock.clone())
            .with_audit(audit.clone())
    };
    let vaults = [vault(), vault()];
    vaults[0].put(&account(), tokens(clock.now()), BoundTo::subject()).await.unwrap();
    let claims = Arc::new(user());
    for round in 0..rounds {
        clock.advance(Duration::from_secs(late));
        audit.take();
        let leases: Vec<_> = (0..64)
            .map(|number| {
                let (vault, claims, clock) = (vaults[number % 2].clone(), claims.clone(), clock.clone());
                tokio::spawn(async move {
                    let lease = vault.lease(&claims, &need()).await.expect("everybody is served");
                    assert!(lease.expires_at() > clock.now(), "never an expired one");
                    secret(&lease)
                })
            })
            .collect();
        for lease in leases {
            let secret = lease.await.unwrap();
            let is_good = late < 995 && secret == access_token(round);
            assert!(secret == access_token(round + 1) || is_good, "{secret} in round {round}");
        }
        // Ahead of expiry they were served before the refresh had ended.
        vaults[0].drain().await;
        vaults[1].drain().await;
        assert_eq!(service.refreshes(), round + 1, "one refresh in each round");
        let told = audit.take();
        assert_eq!(told.iter().filter(|event| event.action.as_str() == "upstream_refresh").count(), 1, "{told:?}");
        assert_eq!(secret(&vaults[round % 2].lease(&claims, &need()).await.unwrap()), access_token(round + 1));
    }
}

macro_rules! races {
    ($store:ident, $open:expr, $rounds:literal) => {
        mod $store {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn of_64_leases_at_the_moment_of_expiry_one_refreshes_and_all_are_served() {
                rounds(Arc::new($open), $rounds, 1_000).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn of_64_leases_ahead_of_expiry_one_refreshes_and_all_are_served() {
                rounds(Arc::new($open), $rounds, 800).await;
            }
        }
    };
}

races!(memory, MemoryStore::new(), 20);
races!(file, InFile::new(), 10);
