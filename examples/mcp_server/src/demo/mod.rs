//! Runs the client of rmcp against the server: login, expiry, refresh, restart, additional scope, and theft.
//!
//! The demonstration does not sleep: it advances the clock of the server. It prints one line for each check, and the first
//! failed check ends it with an error.

mod browser;
mod client;
mod site;

use futures_util::future::try_join_all;
use mcp_token_lifecycle::{Action, OnReuse, Reason};
use reqwest::StatusCode;

use self::browser::Browser;
use self::client::{Client, request_challenge};
use self::site::Site;
use super::server::Result;

const MINUTE: u64 = 60;

pub async fn demo() -> Result<()> {
    let site = Site::open().await?;
    println!("The server listens on {}", site.url);
    let browser = Browser::new("alice", "wonderland")?;
    let client = log_in(&site, &browser).await?;
    expire(&site, &client).await?;
    call_five_times_at_once(&site, &client).await?;
    let site = site.restart().await?;
    survive_a_restart(&site, &client).await?;
    step_up(&client, &browser).await?;
    steal(&site, &client).await?;
    log_in_again(&client, &browser).await?;
    println!("\nAll checks passed.");
    site.close().await
}

async fn log_in(site: &Site, browser: &Browser) -> Result<Client> {
    println!("\nA client connects; it knows only the URL");
    let challenge = request_challenge(&site.mcp()).await?;
    check(challenge.contains("resource_metadata="), "the server answers 401 and names its resource metadata")?;
    let client = Client::log_in(&site.mcp(), &challenge, browser).await?;
    check(client.scopes().await == ["notes:read"], "the client registers, and Alice logs in and grants notes:read")?;
    check_answer(client.whoami().await?)?;
    Ok(client)
}

async fn expire(site: &Site, client: &Client) -> Result<()> {
    println!("\n30 minutes later");
    let before = client.refresh_token().await?;
    site.pass(30 * MINUTE);
    check_answer(client.whoami().await?)?;
    check(
        client.refresh_token().await? != before,
        "the access token had expired, so the client refreshed and repeated the call",
    )?;
    check(site.count(Action::Rotate) == 1, "the server rotated the refresh token")
}

async fn call_five_times_at_once(site: &Site, client: &Client) -> Result<()> {
    println!("\n30 minutes later, five processes with one credential file call at once");
    let rotations = site.count(Action::Rotate);
    let processes = try_join_all((0..5).map(|_| client.copy())).await?;
    site.pass(30 * MINUTE);
    let answers = try_join_all(processes.iter().map(Client::whoami)).await?;
    check(answers.iter().all(|answer| answer.contains("Alice")), &format!("{} of 5 calls succeeded", answers.len()))?;
    let (rotations, retries) = (site.count(Action::Rotate) - rotations, site.count(Action::Retry));
    check(
        (rotations, retries) == (1, 4),
        &format!("the server did {rotations} rotation; {retries} processes got the same successor by a retry"),
    )?;
    check_answer(client.whoami().await?)
}

async fn survive_a_restart(site: &Site, client: &Client) -> Result<()> {
    println!("\nThe server restarts with the same file and the same keys");
    let rotations = site.count(Action::Rotate);
    check_answer(client.whoami().await?)?;
    check(site.count(Action::Rotate) == rotations, "the server accepts the access token from before the restart")?;
    site.pass(30 * MINUTE);
    check_answer(client.whoami().await?)?;
    check(site.count(Action::Rotate) == rotations + 1, "30 minutes later it accepts the refresh token too")
}

async fn step_up(client: &Client, browser: &Browser) -> Result<()> {
    println!("\nThe client calls a tool that needs notes:write");
    let refusal = client.add_note("Buy milk").await.err().ok_or("writing was not refused")?;
    let needed = client::needed_scope(&*refusal).ok_or("the refusal does not name the needed scope")?;
    check(
        needed == "notes:read notes:write",
        &format!("the server answers 403 insufficient_scope and names the scope {needed}"),
    )?;
    client.authorize(needed, browser).await?;
    check(client.scopes().await.len() == 2, "Alice grants notes:write as well")?;
    check_answer(client.add_note("Buy milk").await?)
}

async fn steal(site: &Site, client: &Client) -> Result<()> {
    println!("\nA thief presents a copy of the refresh token");
    let stolen = client.refresh_token().await?;
    site.pass(30 * MINUTE);
    check_answer(client.whoami().await?)?;
    check(client.refresh_token().await? != stolen, "the client has refreshed in the meantime, so the copy is spent")?;
    site.pass(MINUTE);
    let (status, error) = site.refresh(&client.id().await?, &stolen).await?;
    check((status, &*error) == (StatusCode::BAD_REQUEST, "invalid_grant"), "the thief gets 400 invalid_grant")?;
    let last = site.last();
    let reuse = (Action::Reuse(OnReuse::RevokeFamily), Some(Reason::SpentToken));
    check(last == Some(reuse), "the audit log records a spent token and the revocation of its family")?;
    let refused = client.whoami().await.err().ok_or("the server accepted a token of a revoked family")?;
    check(client::requires_login(&*refused), "the client gets 401 and cannot refresh either")
}

async fn log_in_again(client: &Client, browser: &Browser) -> Result<()> {
    println!("\nAlice logs in again");
    client.authorize("notes:read", browser).await?;
    check_answer(client.whoami().await?)
}

/// Checks that the answer of a tool names its user, and prints it.
fn check_answer(answer: String) -> Result<()> {
    check(answer.contains("Alice"), &answer)
}

/// Prints `what` if the check holds, and returns an error if not.
fn check(holds: bool, what: &str) -> Result<()> {
    if !holds {
        return Err(format!("check failed: {what}").into());
    }
    println!("✓ {what}");
    Ok(())
}
