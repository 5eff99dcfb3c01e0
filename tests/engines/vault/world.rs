//! What the processes of a test have in common: a store, a time, a service.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mcp_token_lifecycle::vault::{
    Account, BoundTo, Credential, CredentialVault, LeaseError, LeaseRequest, RefreshPolicy, Runtime,
};
use mcp_token_lifecycle::{AccessClaims, RotationPolicy};
use tempfile::TempDir;

use crate::RUNTIME;
use crate::clock::SharedClock;
use crate::place::{Kind, Place, Store};
use crate::service::{Provider, Rotation, SCOPE, provider};
use crate::steps::{Stepping, Steps};
use crate::support::{bench, grant_of, keyring, scope};

pub const SERVICE: &str = "github";
/// How long a claim keeps others from refreshing, in seconds.
pub const CLAIM: u64 = 30;

pub type Vault = CredentialVault<Stepping>;

pub struct World {
    pub place: Place,
    pub clock: SharedClock,
    clock_path: PathBuf,
    pub url: String,
    /// The maker of the world keeps it.
    _dir: Option<TempDir>,
}

impl World {
    /// An empty store, and a service.
    pub fn new(kind: Kind, rotation: Rotation) -> (Self, Provider) {
        let dir = tempfile::tempdir().unwrap();
        let clock_path = dir.path().join("clock");
        let clock = SharedClock::create(&clock_path);
        let service = Provider::start(&clock, rotation);
        let place = Place::fresh(kind, &dir);
        (Self { place, clock, clock_path, url: service.url.clone(), _dir: Some(dir) }, service)
    }

    /// The same world in another process.
    pub fn parse(words: &str) -> Self {
        let [kind, name, clock, url] = words.split(' ').collect::<Vec<_>>()[..] else { panic!("{words}") };
        let clock_path = PathBuf::from(clock);
        let clock = SharedClock::open(&clock_path);
        Self { place: Place::parse(kind, name), clock, clock_path, url: url.to_owned(), _dir: None }
    }

    /// The vault of a process that leases, and halts at one of its steps.
    pub fn halting_vault(&self, steps: Steps) -> Vault {
        self.vault_on(RUNTIME.block_on(self.place.open()), steps, 60)
    }

    /// A vault.
    pub fn vault(&self) -> Vault {
        self.halting_vault(Steps::without_halt())
    }

    /// A vault whose leases wait for so many seconds.
    pub fn vault_on(&self, store: Store, steps: Steps, patience: u64) -> Vault {
        let store = Stepping { store, steps: steps.clone() };
        let policy = RefreshPolicy::builder().claim(Duration::from_secs(CLAIM)).clock_skew(Duration::ZERO);
        let policy = policy.patience(Duration::from_secs(patience));
        let spawn = |task| {
            RUNTIME.spawn(task);
        };
        CredentialVault::new(store, keyring(), Runtime::new(tokio::time::sleep, spawn))
            .with_provider(SERVICE, provider(&self.url, steps))
            .with_policy(policy.build().unwrap())
            .with_clock(self.clock.clone())
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { kind, name } = &self.place;
        write!(f, "{kind:?} {name} {} {}", self.clock_path.display(), self.url)
    }
}

pub fn subject(user: usize) -> String {
    format!("subject-sorrel-{user}")
}

pub fn claims(user: usize) -> AccessClaims {
    let issuer = bench(RotationPolicy::standard());
    issuer.lasting_claims(grant_of(&subject(user), "client-1"))
}

pub fn need() -> LeaseRequest {
    LeaseRequest::new(SERVICE, scope(SCOPE))
}

pub async fn put(vault: &Vault, user: usize, credential: Credential) {
    vault.put(&Account::new(subject(user), SERVICE), credential, BoundTo::subject()).await.unwrap();
}

/// The token that a user is leased.
pub async fn lease_of(vault: &Vault, user: usize) -> Result<String, LeaseError> {
    let (claims, need) = (claims(user), need());
    let lease = tokio::time::timeout(Duration::from_secs(90), vault.lease(&claims, &need));
    Ok(lease.await.expect("each lease ends")?.secret().expose().to_owned())
}
