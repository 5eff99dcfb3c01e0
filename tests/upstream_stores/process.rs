//! Another process with a vault: this test binary again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::RUNTIME;
use crate::audit::Aloud;
use crate::expiries::work;
use crate::steps::Steps;
use crate::world::{World, lease_of};

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

/// A line to the process that has started this one. The harness may be in the middle of a line of its own.
pub fn say(what: &str) {
    std::io::stdout().write_all(format!("\n= {what}\n").as_bytes()).unwrap();
}

pub struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// One that works through orders.
    pub fn working(world: &World) -> Self {
        Self::start("never", world)
    }

    /// One that leases once and halts at this step.
    pub fn halting_at(step: usize, world: &World) -> Self {
        Self::start(&step.to_string(), world)
    }

    fn start(halt_at: &str, world: &World) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::child", "--nocapture", "--test-threads=1"])
            .env(VARIABLE, format!("{halt_at} {world}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    pub fn tell(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        while !line.starts_with("= ") {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the process has ended");
        }
        line[2..].trim_end().to_owned()
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

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
