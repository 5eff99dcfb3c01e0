//! Shows two processes that issue tokens from one Redis server, and a client that refreshes through both in turn.
//!
//! Run it with `cargo run --example redis --features redis -- redis://127.0.0.1/`. Without an argument the program reads the
//! address from `REDIS_URL`.
//!
//! The second process is a copy of this program. It reads one refresh token from each input line and prints the successor.
//!
//! The program prints which process rotated the token. It ends with an error if the two processes return different
//! successors. At the end one process revokes the session, and the other one refuses the token.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use mcp_token_lifecycle::{
    Client, Grant, Keyring, MasterKey, RedisStore, RefreshRequest, Resource, RotationPolicy, Scope, TokenIssuer,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const URL: &str = "REDIS_URL";
const KEY: &str = "EXAMPLE_TOKEN_KEY";
const CLIENT: &str = "laptop-app";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::args().skip(1).find(|argument| argument.contains("://")).or(std::env::var(URL).ok());
    let Some(url) = url else {
        return Err(
            "give the address of a Redis server as an argument or in REDIS_URL, for example redis://127.0.0.1/".into(),
        );
    };
    match std::env::var(KEY) {
        Ok(key) => serve(&issuer(&url, &key).await?).await,
        Err(_) => run_demo(&url).await,
    }
}

/// Opens an issuer on the shared store. Any number of issuers may share a store if they have the same keys.
async fn issuer(url: &str, key: &str) -> Result<TokenIssuer<RedisStore>> {
    let store = RedisStore::connect(url).await?.with_prefix("example-tokens");
    let keyring = Keyring::parse(&format!("1:{key}"))?;
    Ok(TokenIssuer::new(store, keyring).with_policies(RotationPolicy::standard()))
}

/// The first process: it starts the second one and acts as the client.
async fn run_demo(url: &str) -> Result<()> {
    let key = MasterKey::generate()?.to_base64();
    let (first, mut second) = (issuer(url, &key).await?, Process::start(url, &key)?);
    let client = Client::public(CLIENT);
    let grant =
        Grant::new("alice", CLIENT, Scope::parse("notes:read")?, Resource::parse("https://notes.example/mcp")?)?;

    let mut token = first.issue(grant, None).await?.refresh_token.expose().to_owned();
    for turn in 1..=3 {
        let here = first.refresh(&RefreshRequest::new(&client, &token)).await?.into_result()?;
        let spent = std::mem::replace(&mut token, here.refresh_token.expose().to_owned());
        // The client loses the response and repeats the request at the other process.
        if second.refresh(&spent)? != token {
            return Err("the two processes returned different successors".into());
        }
        println!(
            "Turn {turn}: process {} rotated the token. Process {} returned the same successor.",
            std::process::id(),
            second.id()
        );
        token = second.refresh(&token)?;
        println!("Turn {turn}: process {} rotated the token.", second.id());
    }
    let ended = first.revoke_subject("alice").await?;
    println!("{ended} session was revoked. The second process answered: {}", second.refresh(&token)?);
    first.purge().await?;
    Ok(())
}

/// A handle to the second process, with its input and output.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(url: &str, key: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        // The URL and the key are secrets. Other users of the machine can read the arguments of a process.
        let mut child = command.env(URL, url).env(KEY, key).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { child, input, output })
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn refresh(&mut self, token: &str) -> Result<String> {
        writeln!(self.input, "{token}")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }
}

/// The second process: it answers each refresh token with its successor.
async fn serve(issuer: &TokenIssuer<RedisStore>) -> Result<()> {
    for token in std::io::stdin().lines() {
        match issuer.refresh(&RefreshRequest::new(&Client::public(CLIENT), &token?)).await?.into_result() {
            Ok(tokens) => println!("{}", tokens.refresh_token.expose()),
            Err(refusal) => println!("{refusal}"),
        }
    }
    Ok(())
}
