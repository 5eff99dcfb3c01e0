//! Another process with a vault: this test binary again.

use crate::RUNTIME;
use crate::audit::Aloud;
use crate::expiries::work;
use crate::steps::Steps;
use crate::world::{World, lease_of};

pub use crate::support::process::{Process, say};

const VARIABLE: &str = "UPSTREAM_STORES_PROCESS";

/// Not a test: what such a process does. It works through its orders, or leases once.
#[test]
fn child() {
    let Ok(orders) = std::env::var(VARIABLE) else { return };
    let (halt_at, world) = orders.split_once(' ').unwrap();
    let world = World::parse(world);
    match halt_at.parse() {
        Ok(halt_at) => {
            let vault = world.halting_vault(Steps::halting_at(halt_at)).with_audit(Aloud);
            match RUNTIME.block_on(lease_of(&vault, 0)) {
                Ok(token) => say(&format!("leased {token}")),
                Err(error) => say(&format!("refused {error}")),
            }
        }
        Err(_) => {
            let vault = world.vault();
            for line in std::io::stdin().lines() {
                let users = line.unwrap().parse().unwrap();
                let tally = RUNTIME.block_on(work(&vault, &world, users));
                say(&tally.map(|count| count.to_string()).join(" "));
            }
        }
    }
}

impl Process {
    /// One that works through orders.
    pub fn working(world: &World) -> Self {
        Self::start("process::child", VARIABLE, &format!("never {world}"))
    }

    /// One that leases once and halts at this step.
    pub fn halting_at(step: usize, world: &World) -> Self {
        Self::start("process::child", VARIABLE, &format!("{step} {world}"))
    }

    /// What it reports up to the outcome of its lease, and that.
    pub fn outcome(&mut self) -> (Vec<String>, String) {
        let mut reports = Vec::new();
        loop {
            let heard = self.hear();
            match heard.strip_prefix("reports ") {
                Some(report) => reports.push(report.to_owned()),
                None => return (reports, heard),
            }
        }
    }

    /// The step at which it has halted, after what it had to report.
    pub fn halt(&mut self) -> String {
        let (_, heard) = self.outcome();
        heard.strip_prefix("at ").unwrap_or_else(|| panic!("it halts: {heard}")).to_owned()
    }

    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }
}
