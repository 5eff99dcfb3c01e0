//! Another process: this test binary again, which takes orders and answers line by line.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use mcp_token_lifecycle::{TokenIssuer, TokenStore};
use tokio::task::JoinSet;

use super::{client, refresh, rt};

pub struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// One that runs the test of this name, told by the variable that it is to act.
    pub fn start(test: &str, variable: &str, value: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(variable, value)
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
        // The harness has lines of its own.
        while !line.starts_with("= ") {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the process has ended");
        }
        line[2..].trim_end().to_owned()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: &str) {
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

/// A line to the process that has started this one. The harness may be in the middle of a line of its own.
pub fn say(what: &str) {
    std::io::stdout().write_all(format!("\n= {what}\n").as_bytes()).unwrap();
}

/// What a process does in a race: as it is told, it refreshes a token so many times at once, or revokes it.
pub async fn race<S: TokenStore + 'static>(issuer: Arc<TokenIssuer<S>>, at_once: usize) {
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (act, token) = line.split_once(' ').unwrap();
        say(&match act {
            "revoke" => issuer.revoke(&client(), token, None).await.map(|()| "revoked".to_owned()).unwrap(),
            _ => refreshes(&issuer, token, at_once).await,
        });
    }
}

/// How many of the refreshes rotated, how many were retries, and what came out of them.
async fn refreshes<S: TokenStore + 'static>(issuer: &Arc<TokenIssuer<S>>, token: &str, at_once: usize) -> String {
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let (issuer, token) = (issuer.clone(), token.to_owned());
        tasks.spawn(async move { refresh(&issuer, &token).await.ok() });
    }
    let answers = tasks.join_all().await;
    let (retried, rotated): (Vec<_>, Vec<_>) = answers.iter().flatten().partition(|answer| answer.retry);
    let successors: HashSet<_> = answers.iter().flatten().map(rt).collect();
    format!("{} {} {}", rotated.len(), retried.len(), successors.into_iter().collect::<Vec<_>>().join(" "))
}
