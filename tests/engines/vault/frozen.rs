//! The process that refreshes is frozen past the end of its claim, and wakes when others have gone on.

use crate::RUNTIME;
use crate::killed::{Left, Next, STEPS, halted};
use crate::place::Kind;
use crate::process::Process;
use crate::service::{LIFETIME, Rotation, access_token};
use crate::world::{World, put, subject};

const TWO_HOURS: u64 = 2 * 3_600;

/// Freeze it for hours, and lease in its stead once its claim has ended.
fn take_over(process: &Process, world: &World, left: Left) -> Next {
    process.freeze();
    let next = Next::after(world);
    if left.has_claim() {
        next.outlast_claim(world);
    }
    if left != Left::Stored {
        world.clock.pass(TWO_HOURS);
    }
    assert_eq!(next.lease().unwrap(), access_token(0, 1));
    next
}

/// Let it go on to its end: what it reports, and what its lease comes to.
fn wake(mut process: Process) -> (Vec<String>, String) {
    process.thaw();
    process.tell("go on");
    process.outcome()
}

fn is_during_request(step: usize) -> bool {
    ["before the request", "after the answer"].contains(&STEPS[step].0)
}

fn generation(next: &Next) -> u64 {
    RUNTIME.block_on(next.vault.list(&subject(0))).unwrap()[0].generation
}

/// While it is frozen another process takes over, and then the user authorizes again.
fn freeze(kind: Kind, step: usize) {
    let (world, service, process) = halted(kind, Rotation::Leeway, step);
    let (name, left) = STEPS[step];
    let next = take_over(&process, &world, left);
    RUNTIME.block_on(put(&next.vault, 0, service.authorize()));
    let before = generation(&next);

    let (reports, outcome) = wake(process);
    let leased = if left == Left::Stored { access_token(0, 1) } else { access_token(1, 0) };
    assert_eq!(outcome, format!("leased {leased}"), "{step} {name}");
    let expected: &[&str] = match left {
        // Its claim has ended, so it does not even ask the service.
        Left::Claim if name == "after a write" => &[],
        // It notices that it was suspended during the request.
        Left::Claim | Left::Rotated if is_during_request(step) => &["upstream_clock_stepped", "upstream_superseded"],
        Left::Claim | Left::Rotated => &["upstream_superseded"],
        // It is between the write and the report of it.
        Left::Stored => &["upstream_refresh"],
        Left::Nothing => &[],
    };
    assert_eq!(reports, expected, "{step} {name}");
    assert_eq!(next.lease().unwrap(), access_token(1, 0));
    assert_eq!((generation(&next), service.rotations(), service.dead()), (before, 1, 0));
}

/// While it is frozen with its answer, others refresh twice.
fn freeze_with_an_answer(kind: Kind, step: usize) {
    let (world, service, process) = halted(kind, Rotation::Leeway, step);
    let next = take_over(&process, &world, Left::Rotated);
    world.clock.pass(LIFETIME);
    assert_eq!(next.lease().unwrap(), access_token(0, 2));

    let (reports, outcome) = wake(process);
    let noticed = is_during_request(step).then_some("upstream_clock_stepped");
    let expected: Vec<_> = noticed.into_iter().chain(["upstream_superseded"]).collect();
    assert_eq!(
        (reports, outcome),
        (expected.into_iter().map(str::to_owned).collect(), format!("leased {}", access_token(0, 2)))
    );
    assert_eq!((generation(&next), service.rotations(), service.dead()), (3, 2, 0));
}

fn freeze_everywhere(kind: Kind) {
    (0..STEPS.len()).for_each(|step| freeze(kind, step));
    let with_answer: Vec<_> = (0..STEPS.len()).filter(|step| STEPS[*step].1 == Left::Rotated).collect();
    with_answer.iter().for_each(|step| freeze_with_an_answer(kind, *step));
    println!(
        "{kind:?}: frozen at {} steps while the user authorized again, and at {} while others refreshed twice: \
         0 newer credentials overwritten",
        STEPS.len(),
        with_answer.len()
    );
}

#[test]
fn a_refresher_that_wakes_late_overwrites_nothing_on_postgres() {
    freeze_everywhere(Kind::Postgres);
}

#[test]
fn a_refresher_that_wakes_late_overwrites_nothing_on_redis() {
    freeze_everywhere(Kind::Redis);
}

#[test]
fn a_refresher_that_wakes_late_overwrites_nothing_on_a_cluster() {
    freeze_everywhere(Kind::Cluster);
}
