//! Ten processes and one file, some of them killed in the middle of their work.

use std::thread::{sleep, yield_now};
use std::time::Duration;

use mcp_token_lifecycle::Action;

use super::child::Process;
use super::server::Server;

const PROCESSES: usize = 10;
const CALLS: usize = 4;
const EXPIRIES: usize = 100;

/// Ask, and see that everything it gets is accepted.
fn serve(server: &Server, process: &mut Process) {
    let said = process.hear().expect("it lives");
    assert_eq!(said.split(' ').count(), CALLS, "{said}");
    said.split(' ').for_each(|token| server.assert_accepts(token));
}

#[test]
fn processes_that_are_killed_keep_the_login() {
    let server = Server::start();
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| Process::start(&server)).collect();
    let mut kills = 0;
    for expiry in 1..=EXPIRIES {
        server.pass(1800);
        processes.iter_mut().for_each(|process| process.ask(CALLS));
        // From some moment after the start, or after the server has rotated.
        while expiry % 2 == 0 && server.count(Action::Rotate) < expiry {
            yield_now();
        }
        if expiry % 4 > 0 {
            sleep(Duration::from_micros(expiry as u64 * 7919 % 10_000));
        }
        let (victims, survivors) = processes.split_at_mut(expiry % PROCESSES + 1);
        for victim in victims {
            victim.kill();
            kills += 1;
        }
        survivors.iter_mut().for_each(|process| serve(&server, process));
        for victim in &mut processes[..=expiry % PROCESSES] {
            *victim = Process::start(&server);
            victim.ask(CALLS);
            serve(&server, victim);
        }
        assert_eq!(server.count(Action::Rotate), expiry);
    }
    let retries = server.count(Action::Retry);
    println!("{kills} kills over {EXPIRIES} expiries: {retries} successors that were not written, and given again");
    assert_eq!((server.count(Action::Deny), server.count_reuse()), (0, 0));
    assert!(retries > 0, "no kill came between a rotation and the write of its successor");
}
