//! The process that refreshes is killed, at every step that anybody outside can see.

use std::collections::BTreeMap;

use mcp_token_lifecycle::vault::LeaseError;

use crate::RUNTIME;
use crate::audit::short;
use crate::place::Kind;
use crate::process::Process;
use crate::service::{LIFETIME, Provider, Rotation, access_token};
use crate::steps::Steps;
use crate::support::TestAudit;
use crate::world::{CLAIM, SERVICE, Vault, World, lease_of, put};

/// What a process leaves behind that ends at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// A claim.
    Claim,
    /// A claim, and a service that has replaced the refresh token.
    Rotated,
    /// The new tokens.
    Stored,
}

impl Left {
    pub fn has_claim(self) -> bool {
        matches!(self, Self::Claim | Self::Rotated)
    }
}

/// What a lease does that meets an expired token: the root is read, the record, and so on.
pub const STEPS: [(&str, Left); 10] = [
    ("before a read", Left::Nothing),
    ("after a read", Left::Nothing),
    ("before a read", Left::Nothing),
    ("after a read", Left::Nothing),
    ("before a write", Left::Nothing),
    ("after a write", Left::Claim),
    ("before the request", Left::Claim),
    ("after the answer", Left::Rotated),
    ("before a write", Left::Rotated),
    ("after a write", Left::Stored),
];

/// The credential of user 0 has expired, and another process that was about to refresh it has halted at `step`.
pub fn halted(kind: Kind, rotation: Rotation, step: usize) -> (World, Provider, Process) {
    let (world, service) = World::new(kind, rotation);
    // This vault ends here, for a file is one process's at a time.
    RUNTIME.block_on(put(&world.vault(), 0, service.authorize()));
    world.clock.pass(LIFETIME);
    let mut process = Process::halting_at(step, &world);
    let (name, left) = STEPS[step];
    assert_eq!(process.halt(), name);
    assert_eq!(service.rotations(), usize::from(matches!(left, Left::Rotated | Left::Stored)));
    (world, service, process)
}

/// The next caller.
pub struct Next {
    pub vault: Vault,
    /// The same without any patience.
    hasty: Vault,
    audit: TestAudit,
}

impl Next {
    pub fn after(world: &World) -> Self {
        let (store, audit) = (RUNTIME.block_on(world.place.open()), TestAudit::default());
        let vault = |patience| world.vault_on(store.clone(), Steps::without_halt(), patience);
        Self { vault: vault(60).with_audit(audit.clone()), hasty: vault(0), audit }
    }

    pub fn lease(&self) -> Result<String, LeaseError> {
        RUNTIME.block_on(lease_of(&self.vault, 0))
    }

    /// No process refreshes as long as the claim lasts; let it end.
    pub fn outlast_claim(&self, world: &World) {
        for _ in 0..2 {
            let refused = RUNTIME.block_on(lease_of(&self.hasty, 0)).unwrap_err();
            let LeaseError::Unavailable { retry_after, .. } = refused else { panic!("{refused:?}") };
            assert_eq!(retry_after.as_secs(), CLAIM);
        }
        world.clock.pass(CLAIM);
    }
}

/// Returns what the next one does.
fn kill(kind: Kind, rotation: Rotation, step: usize) -> &'static str {
    let (world, service, process) = halted(kind, rotation, step);
    process.kill();
    let (next, left) = (Next::after(&world), STEPS[step].1);
    if left.has_claim() {
        next.outlast_claim(&world);
    }
    let second = next.lease();
    let told: Vec<_> = next.audit.take().iter().map(short).collect();
    if left == Left::Rotated && rotation == Rotation::Strict {
        assert!(matches!(second, Err(LeaseError::NeedsAuthorization { service, .. }) if &*service == SERVICE));
        assert_eq!(told, ["upstream_needs_authorization upstream_answer_lost", "upstream_refuse needs_authorization"]);
        RUNTIME.block_on(put(&next.vault, 0, service.authorize()));
        assert_eq!(next.lease().unwrap(), access_token(1, 0));
        return "asks for a new authorization";
    }
    assert_eq!(second.unwrap(), access_token(0, 1));
    assert_eq!((service.rotations(), service.dead()), (1, 0), "one refresh, by either process");
    match told.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] if left == Left::Stored => "finds the new token",
        ["upstream_refresh"] if left == Left::Nothing => "refreshes at once",
        ["upstream_refresh"] if left.has_claim() => "refreshes after the claim",
        _ => panic!("{step} {left:?}: {told:?}"),
    }
}

fn kill_everywhere(kind: Kind) {
    for rotation in [Rotation::Strict, Rotation::Leeway] {
        let mut outcomes = BTreeMap::new();
        for step in 0..STEPS.len() {
            *outcomes.entry(kill(kind, rotation, step)).or_insert(0) += 1;
        }
        println!("{kind:?}, {rotation:?}: killed at {} steps, the next one {outcomes:?}", STEPS.len());
    }
}

#[test]
fn refresh_is_taken_over_from_a_killed_process_on_postgres() {
    kill_everywhere(Kind::Postgres);
}

#[test]
fn refresh_is_taken_over_from_a_killed_process_on_redis() {
    kill_everywhere(Kind::Redis);
}

#[test]
fn refresh_is_taken_over_from_a_killed_process_on_a_cluster() {
    kill_everywhere(Kind::Cluster);
}

#[test]
fn refresh_is_taken_over_from_a_killed_process_on_redb() {
    kill_everywhere(Kind::File);
}
