//! The MCP server in a process of its own: this program again. It reads its setup, says where it listens, and puts its clock
//! forward as it is told, until its input ends.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tokio::net::TcpListener;

use super::clock::TurnedClock;
use super::server;
use super::setup::{Result, Setup};

pub const SERVE: &str = "--serve";

/// Such a process, as the demonstration sees it.
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// Where it serves MCP.
    pub url: String,
}

impl Process {
    pub fn start(setup: &Setup) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        // Neither an argument nor the environment: others can see those, and there is a key in it.
        writeln!(input, "{}", serde_json::to_string(setup)?)?;
        let url = output.next().ok_or("a server did not start")??;
        Ok(Self { child, input, output, url })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Put its clock forward.
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

/// What such a process does.
pub async fn serve() -> Result<()> {
    let mut orders = std::io::stdin().lines();
    let setup: Setup = serde_json::from_str(&orders.next().ok_or("no setup")??)?;
    let clock = TurnedClock::default();
    let router = server::router(&setup, clock.clone()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/mcp", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, router).await });
    for order in orders {
        clock.pass(order?.parse()?);
        println!("passed");
    }
    Ok(())
}
