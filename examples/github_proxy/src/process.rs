//! Runs the MCP server in a separate process, which is a copy of this program.
//!
//! The process reads its setup from its input and prints its URL. Each further input line is a number of seconds by which it
//! advances its clock. It ends when its input ends.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tokio::net::TcpListener;

use super::clock::AdjustableClock;
use super::server;
use super::setup::{Result, Setup};

pub const SERVE: &str = "--serve";

/// A handle to a server process.
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// The URL of its MCP endpoint.
    pub url: String,
}

impl Process {
    pub fn start(setup: &Setup) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        // The setup contains a key. Other processes can read arguments and the environment, so it goes through the input.
        writeln!(input, "{}", serde_json::to_string(setup)?)?;
        let url = output.next().ok_or("a server did not start")??;
        Ok(Self { child, input, output, url })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Advances the clock of the process.
    pub fn pass(&mut self, seconds: u64) -> Result<()> {
        writeln!(self.input, "{seconds}")?;
        self.output.next().ok_or("a server has ended")??;
        Ok(())
    }

    pub fn stop(mut self) -> Result<()> {
        drop(self.input);
        self.child.wait()?;
        Ok(())
    }
}

/// The main function of a server process.
pub async fn serve() -> Result<()> {
    let mut lines = std::io::stdin().lines();
    let setup: Setup = serde_json::from_str(&lines.next().ok_or("no setup")??)?;
    let clock = AdjustableClock::default();
    let router = server::router(&setup, clock.clone()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/mcp", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, router).await });
    for line in lines {
        clock.pass(line?.parse()?);
        println!("passed");
    }
    Ok(())
}
