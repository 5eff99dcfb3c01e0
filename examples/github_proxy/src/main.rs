//! Shows an MCP server that calls GitHub and a ticket system with the credentials of each user.
//!
//! Run it with `cargo run -p github_proxy -- redis://127.0.0.1/`. Without an argument the program reads the address of Redis
//! from `REDIS_URL`.
//!
//! The MCP server runs in two processes on one store. The program simulates both services. It prints one line for each check,
//! and the first failed check ends the program with an error. It covers concurrent refreshes, least privilege, separation of
//! users, the offboarding of a user, and a search for leaked secrets.
//!
//! Begin reading at `server.rs`.
//!
//! | file | content |
//! |---|---|
//! | `server.rs` | the MCP server and its tools |
//! | `setup.rs` | the configuration that all processes share, and the vault |
//! | `process.rs` | the start of a server process |
//! | `services.rs`, `github.rs`, `tracker.rs` | the two simulated services, which record all requests |
//! | `site.rs`, `client.rs`, `clock.rs` | the environment of the demonstration |

mod client;
mod clock;
mod github;
mod process;
mod server;
mod services;
mod setup;
mod site;
mod tracker;

use client::Client;
use futures_util::future::try_join_all;
use mcp_token_lifecycle::RefreshRequest;
use serde_json::json;
use setup::Result;
use site::Site;

/// The start of a refresh request in the records of GitHub.
const REFRESH: &str = "POST /login/oauth/access_token";

#[tokio::main]
async fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == process::SERVE) {
        return process::serve().await;
    }
    let url = std::env::args().skip(1).find(|argument| argument.contains("://")).or(std::env::var("REDIS_URL").ok());
    let url =
        url.ok_or("give the address of a Redis server as an argument or in REDIS_URL, for example redis://127.0.0.1/")?;

    let mut site = Site::open(&url).await?;
    let [first, second] = &site.processes;
    println!("Processes {} and {} run the same MCP server on one store.", first.id(), second.id());
    let (mut alice, mut bob) = (site.log_in("alice").await?, site.log_in("bob").await?);
    connect(&site, &alice, &bob).await?;
    expire(&mut site, &mut alice, &mut bob).await?;
    lease_least_privilege(&site, &bob).await?;
    keep_apart(&site, &alice, &bob).await?;
    offboard(&mut site, &alice, &mut bob).await?;
    search(&site, &alice, &bob)?;
    site.close().await?;
    println!("\nAll checks passed.");
    Ok(())
}

async fn connect(site: &Site, alice: &Client, bob: &Client) -> Result<()> {
    println!("\nAlice and Bob are logged in and connect their accounts");
    for (client, process) in [alice, bob].into_iter().zip(&site.processes) {
        let user = client.user;
        check(
            client.call(&process.url, "repositories", json!({})).await? == "there is no credential for github",
            &format!("before that, a call of {user} is refused, and the refusal names the service to connect"),
        )?;
        site.connect_github(user, None, "repo:read").await?;
        site.connect_tracker(user).await?;
        check(
            sees_own(site, client).await?,
            &format!("{user} gets {user}'s repositories and tickets from both processes"),
        )?;
    }
    Ok(())
}

async fn expire(site: &mut Site, alice: &mut Client, bob: &mut Client) -> Result<()> {
    println!(
        "\nAlice's client makes ten calls at once, five at each process, before and after her GitHub token expires"
    );
    call_ten_times(site, alice).await?;
    check(site.services.count(REFRESH) == 0, "GitHub received no refresh request before the expiry")?;
    site.pass(github::LIFETIME)?;
    // The clients refresh their own tokens as well, because the vault leases only to an unexpired access token.
    site.refresh(alice).await?;
    site.refresh(bob).await?;
    call_ten_times(site, alice).await?;
    check(site.services.count(REFRESH) == 1, "GitHub received one refresh request for Alice")?;
    check(sees_own(site, bob).await?, "Bob gets his own repositories and tickets afterwards")?;
    check(site.services.count(REFRESH) == 2, "GitHub received one refresh request for Bob")
}

async fn call_ten_times(site: &Site, client: &Client) -> Result<()> {
    let calls = (0..10).map(|n| client.call(&site.processes[n % 2].url, "repositories", json!({})));
    let right = format!("{0}/notes, {0}/website", client.user);
    let served = try_join_all(calls).await?.iter().filter(|answer| **answer == right).count();
    check(served == 10, &format!("{served} of 10 calls returned {}'s repositories", client.user))
}

async fn lease_least_privilege(site: &Site, bob: &Client) -> Result<()> {
    println!("\nBob connects a second account, which also has write access");
    site.connect_github("bob", Some("admin"), "repo:read repo:write").await?;
    let admin = json!({ "account": "admin" });
    for process in &site.processes {
        let refused = bob.call(&process.url, "repositories", admin.clone()).await?;
        check(
            refused == "the credential allows more than the requested scope",
            "a tool that needs only repo:read does not get a credential with write access",
        )?;
        let served = bob.call(&process.url, "repositories_with_broad_access", admin.clone()).await?;
        check(served == "bob/notes, bob/website", "a tool that accepts broader access gets the credential")?;
    }
    Ok(())
}

async fn keep_apart(site: &Site, alice: &Client, bob: &Client) -> Result<()> {
    println!("\nAlice asks for Bob's second account");
    for process in &site.processes {
        let refused = alice.call(&process.url, "repositories_with_broad_access", json!({ "account": "admin" })).await?;
        check(refused == "there is no credential for github", "the second account does not exist for Alice")?;
    }
    let crossed = |client: &Client, other: &str| client.answers().iter().any(|answer| answer.contains(other));
    check(!crossed(alice, "bob") && !crossed(bob, "alice"), "no response so far contains data of the other user")
}

async fn offboard(site: &mut Site, alice: &Client, bob: &mut Client) -> Result<()> {
    println!("\nAlice leaves the company");
    let before = site.records().await?;
    let ended = site.issuer.revoke_subject("alice").await?;
    let refresh_token = alice.tokens.refresh_token.expose();
    let refresh = site.issuer.refresh(&RefreshRequest::new(&Client::identity(), refresh_token)).await?;
    check(ended == 1 && refresh.into_result().is_err(), "Alice's session is revoked")?;
    site.wait_until_removed("alice").await?;
    check(
        site.services.count("DELETE ") == 1 && !site.services.github.is_authorized("alice"),
        "GitHub received one revocation request and deleted Alice's authorization",
    )?;
    for process in &site.processes {
        for (tool, service) in [("repositories", "github"), ("tickets", "tracker")] {
            let refused = alice.call(&process.url, tool, json!({})).await?;
            let service = format!("there is no credential for {service}");
            check(refused == service, &format!("process {} refuses Alice's access token: {refused}", process.id()))?;
        }
    }
    site.pass(3_600)?;
    site.vault.purge().await?;
    check(
        site.records().await? == before && site.vault.list("alice").await?.is_empty(),
        "Alice's two records stay, empty and without her name, so that no late write brings a credential back",
    )?;
    site.refresh(bob).await?;
    check(sees_own(site, bob).await?, "Bob still gets his repositories and tickets")
}

fn search(site: &Site, alice: &Client, bob: &Client) -> Result<()> {
    println!("\nSearch of all recorded requests and responses");
    let (requests, answers) = (site.services.requests(), [alice.answers(), bob.answers()].concat());
    let secrets = site.services.secrets();
    let has_secret = |text: &&String| secrets.iter().any(|secret| text.contains(secret));
    let has_token = |text: &&String| ["mcpat_", "mcprt_"].iter().any(|prefix| text.contains(prefix));
    let (all, known) = (requests.len(), requests.iter().filter(has_secret).count());
    check(
        all == known,
        &format!("{known} of {all} requests to the services contain a secret of the service, so the search works"),
    )?;
    let leaked = requests.iter().filter(has_token).count();
    check(leaked == 0, &format!("{leaked} of them contain a token of the MCP server"))?;
    let leaked = answers.iter().filter(has_secret).count();
    check(leaked == 0, &format!("{leaked} of {} responses to the clients contain a secret of a service", answers.len()))
}

/// Returns whether both processes return the user's own repositories and tickets.
async fn sees_own(site: &Site, client: &Client) -> Result<bool> {
    let user = client.user;
    for process in &site.processes {
        let repositories = client.call(&process.url, "repositories", json!({})).await?;
        let tickets = client.call(&process.url, "tickets", json!({})).await?;
        if repositories != format!("{user}/notes, {user}/website") || tickets != format!("{user}-1, {user}-2") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Prints `what` if the check holds, and returns an error if not.
fn check(holds: bool, what: &str) -> Result<()> {
    if !holds {
        return Err(format!("check failed: {what}").into());
    }
    println!("✓ {what}");
    Ok(())
}
