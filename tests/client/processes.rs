//! Ten processes and one file, undisturbed.

use mcp_token_lifecycle::Action;

use super::child::Process;
use super::server::Server;

const PROCESSES: usize = 10;
const CALLS: usize = 4;
const EXPIRIES: usize = 100;

#[test]
fn ten_processes_rotate_once_for_each_expiry() {
    let server = Server::start();
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| Process::start(&server)).collect();
    for expiry in 1..=EXPIRIES {
        // Past the expiry, or in the last fifth before it.
        server.pass([1800, 1620][expiry % 2]);
        processes.iter_mut().for_each(|process| process.ask(CALLS));
        for process in &mut processes {
            let said = process.hear().expect("it lives");
            assert_eq!(said.split(' ').count(), CALLS, "{said}");
            said.split(' ').for_each(|token| server.assert_accepts(token));
        }
        assert_eq!(server.count(Action::Rotate), expiry);
    }
    assert_eq!((server.count(Action::Retry), server.count(Action::Deny), server.count_reuse()), (0, 0, 0));
    println!(
        "{} calls in {PROCESSES} processes over {EXPIRIES} expiries: as many rotations",
        PROCESSES * CALLS * EXPIRIES
    );
}
