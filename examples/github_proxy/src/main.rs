//! An MCP server that calls two services for its users, GitHub and a ticket system, with what each of them has there:
//! `cargo run -p github_proxy -- redis://127.0.0.1/`, or with the address in `REDIS_URL`.
//!
//! It runs in two processes on one store, against services that it simulates. Everything that is told is checked, and the first
//! thing that is not so ends the program with an error.
//!
//! | file | |
//! |---|---|
//! | `setup.rs` | a vault, as every process opens it |
//! | `server.rs` | the MCP server and its tools: the place to begin reading |
//! | `process.rs` | the server in a process of its own |
//! | `http_client.rs` | reqwest, for refreshes and revocations |
//! | `services.rs`, `github.rs`, `tracker.rs` | the two services, which write down what they get |
//! | `site.rs`, `client.rs`, `clock.rs` | what the demonstration takes |

mod client;
mod clock;
mod github;
mod http_client;
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

/// How a refresh begins, as GitHub gets it.
const REFRESH: &str = "POST /login/oauth/access_token";

#[tokio::main]
async fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == process::SERVE) {
        return process::serve().await;
    }
    let url = std::env::args().skip(1).find(|argument| argument.contains("://")).or(std::env::var("REDIS_URL").ok());
    let url =
        url.ok_or("where is Redis? Give its address as an argument or in REDIS_URL, such as redis://127.0.0.1/")?;

    let mut site = Site::open(&url).await?;
    let [first, second] = &site.processes;
    println!("Processes {} and {} are one MCP server, on one store", first.id(), second.id());
    let (mut alice, mut bob) = (site.log_in("alice").await?, site.log_in("bob").await?);
    connect(&site, &alice, &bob).await?;
    expire(&mut site, &mut alice, &mut bob).await?;
    ask_for_no_more_than_needed(&site, &bob).await?;
    keep_apart(&site, &alice, &bob).await?;
    offboard(&mut site, &alice, &mut bob).await?;
    search(&site, &alice, &bob)?;
    site.close().await?;
    println!("\nEverything went as told.");
    Ok(())
}

async fn connect(site: &Site, alice: &Client, bob: &Client) -> Result<()> {
    println!("\nAlice and Bob have logged in, and connect their accounts");
    for (client, process) in [alice, bob].into_iter().zip(&site.processes) {
        let user = client.user;
        told(
            client.call(&process.url, "repositories", json!({})).await? == "there is no credential for github",
            &format!("{user}: nothing there yet, and the refusal says where to go"),
        )?;
        site.connect_github(user, None, "repo:read").await?;
        site.connect_tracker(user).await?;
        told(
            sees_own(site, client).await?,
            &format!("{user} sees {user}'s repositories and tickets, in both processes"),
        )?;
    }
    Ok(())
}

async fn expire(site: &mut Site, alice: &mut Client, bob: &mut Client) -> Result<()> {
    println!(
        "\nAlice's client calls ten times at once, five at each process: before GitHub's token for her expires, and after"
    );
    call_ten_times(site, alice).await?;
    told(site.services.count(REFRESH) == 0, "GitHub was not asked for new tokens")?;
    site.pass(github::LIFETIME)?;
    // The tokens of this server have expired long before: without a good one nothing is leased.
    site.refresh(alice).await?;
    site.refresh(bob).await?;
    call_ten_times(site, alice).await?;
    told(site.services.count(REFRESH) == 1, "GitHub was asked for new tokens once")?;
    told(sees_own(site, bob).await?, "Bob, who comes later, sees what is Bob's")?;
    told(site.services.count(REFRESH) == 2, "GitHub was asked once for him")
}

async fn call_ten_times(site: &Site, client: &Client) -> Result<()> {
    let calls = (0..10).map(|n| client.call(&site.processes[n % 2].url, "repositories", json!({})));
    let right = format!("{0}/notes, {0}/website", client.user);
    let served = try_join_all(calls).await?.iter().filter(|answer| **answer == right).count();
    told(served == 10, &format!("{served} of 10 calls were served with {}'s repositories", client.user))
}

async fn ask_for_no_more_than_needed(site: &Site, bob: &Client) -> Result<()> {
    println!("\nBob connects a second account, with which one can write as well");
    site.connect_github("bob", Some("admin"), "repo:read repo:write").await?;
    let admin = json!({ "account": "admin" });
    for process in &site.processes {
        let refused = bob.call(&process.url, "repositories", admin.clone()).await?;
        told(refused == "the credential allows more than is needed", "a tool that needs repo:read does not get it")?;
        let served = bob.call(&process.url, "repositories_by_any_means", admin.clone()).await?;
        told(served == "bob/notes, bob/website", "one that says that it makes do with more does")?;
    }
    Ok(())
}

async fn keep_apart(site: &Site, alice: &Client, bob: &Client) -> Result<()> {
    println!("\nAlice asks for Bob's second account");
    for process in &site.processes {
        let refused = alice.call(&process.url, "repositories_by_any_means", json!({ "account": "admin" })).await?;
        told(refused == "there is no credential for github", "for her there is none of this name")?;
    }
    let crossed = |client: &Client, other: &str| client.answers().iter().any(|answer| answer.contains(other));
    told(!crossed(alice, "bob") && !crossed(bob, "alice"), "no answer so far had anything of the other user")
}

async fn offboard(site: &mut Site, alice: &Client, bob: &mut Client) -> Result<()> {
    println!("\nAlice leaves the company");
    let before = site.records().await?;
    let ended = site.issuer.revoke_subject("alice").await?;
    let refresh_token = alice.tokens.refresh_token.expose();
    let refresh = site.issuer.refresh(&RefreshRequest::new(&Client::identity(), refresh_token)).await?;
    told(ended == 1 && refresh.into_result().is_err(), "her session is revoked")?;
    site.nothing_is_left_of("alice").await?;
    told(
        site.services.count("DELETE ") == 1 && !site.services.github.is_authorized("alice"),
        "GitHub was told, once, and has ended her authorization",
    )?;
    for process in &site.processes {
        for (tool, service) in [("repositories", "github"), ("tickets", "tracker")] {
            let refused = alice.call(&process.url, tool, json!({})).await?;
            let service = format!("there is no credential for {service}");
            told(refused == service, &format!("process {}, to her access token: {refused}", process.id()))?;
        }
    }
    site.pass(3_600)?;
    let purged = site.vault.purge().await?;
    told(
        purged == 2 && site.records().await? == before - 2,
        "a purge an hour later her two records are gone from the store",
    )?;
    site.refresh(bob).await?;
    told(sees_own(site, bob).await?, "Bob goes on as before")
}

fn search(site: &Site, alice: &Client, bob: &Client) -> Result<()> {
    println!("\nWhat went over the wire");
    let (requests, answers) = (site.services.requests(), [alice.answers(), bob.answers()].concat());
    let secrets = site.services.secrets();
    let has_secret = |text: &&String| secrets.iter().any(|secret| text.contains(secret));
    let has_token = |text: &&String| ["mcpat_", "mcprt_"].iter().any(|prefix| text.contains(prefix));
    let (all, known) = (requests.len(), requests.iter().filter(has_secret).count());
    told(
        all == known,
        &format!("{known} of {all} requests upstream carry a secret of their service, so what is there is found"),
    )?;
    let leaked = requests.iter().filter(has_token).count();
    told(leaked == 0, &format!("{leaked} of them have a token of the MCP server"))?;
    let leaked = answers.iter().filter(has_secret).count();
    told(leaked == 0, &format!("{leaked} of {} answers to the clients have a secret of a service", answers.len()))
}

/// Whether both processes show a user what is theirs.
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

fn told(so: bool, what: &str) -> Result<()> {
    if !so {
        return Err(format!("not as told: {what}").into());
    }
    println!("✓ {what}");
    Ok(())
}
