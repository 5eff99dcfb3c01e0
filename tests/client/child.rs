//! A process of its own that shares the login, and what it says.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use mcp_token_lifecycle::client::{FileStorage, TokenManager};
use mcp_token_lifecycle::vault::Runtime;
use tokio::task::JoinSet;

use super::server::{RUNTIME, Server, clock};
use super::steps::Doom;
use super::wire::Wire;

const VARIABLE: &str = "CLIENT_CREDENTIALS_CHILD";

/// Not a test: what a process runs. For each number on its input it asks for so many access tokens at once.
#[test]
fn child() {
    let Ok(place) = std::env::var(VARIABLE) else { return };
    let [url, folder, step] = place.split(' ').collect::<Vec<_>>().try_into().expect("a url, a folder, a step");
    let doom = Doom::at(step.parse().unwrap());
    let folder = Path::new(folder);
    let storage = doom.doomed(FileStorage::open(folder.join("credentials")).unwrap());
    let runtime = Runtime::new(tokio::time::sleep, |task| drop(tokio::spawn(task)));
    let credentials = TokenManager::new(storage, doom.doomed(Wire::new(url)), runtime).with_clock(clock(folder));
    say("ready");
    for line in std::io::stdin().lines() {
        let count = line.unwrap().parse().unwrap();
        say(&RUNTIME.block_on(tokens(&credentials, count)).join(" "));
    }
}

fn say(text: &str) {
    std::io::stdout().write_all(format!("\n= {text}\n").as_bytes()).unwrap();
}

async fn tokens(credentials: &TokenManager, count: usize) -> Vec<String> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let credentials = credentials.clone();
        tasks.spawn(async move { credentials.access_token().await });
    }
    let served = tasks.join_all().await.into_iter();
    served.map(|token| token.map_or_else(|error| format!("{error:?}"), |token| token.expose().to_owned())).collect()
}

pub struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub fn start(server: &Server) -> Self {
        Self::doomed(server, usize::MAX)
    }

    /// A process that dies at this step.
    pub fn doomed(server: &Server, step: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::child", "--nocapture", "--test-threads=1"])
            .env(VARIABLE, format!("{} {} {step}", server.url, server.folder.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut process = Self { child, input, output };
        assert_eq!(process.hear().as_deref(), Some("ready"));
        process
    }

    /// Ask for so many access tokens at once.
    pub fn ask(&mut self, count: usize) {
        self.input.write_all(format!("{count}\n").as_bytes()).unwrap();
    }

    /// What it says next, unless it has died.
    pub fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).unwrap();
            // The harness has lines of its own, and one without its end was cut off.
            match line.strip_prefix("= ").and_then(|said| said.strip_suffix('\n')) {
                Some(said) => return Some(said.to_owned()),
                None if read == 0 => return None,
                None => {}
            }
        }
    }

    pub fn kill(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
