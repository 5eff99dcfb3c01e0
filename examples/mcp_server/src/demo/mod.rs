//! The server meets rmcp's own client. Nothing sleeps: the server's clock is turned by hand. Everything that is told is
//! checked, and the first thing that is not so ends the program with an error.

mod browser;
mod client;
mod site;

use futures_util::future::try_join_all;
use mcp_token_lifecycle::{Action, OnReuse, Reason};
use reqwest::StatusCode;

use self::browser::Browser;
use self::client::{Client, knock};
use self::site::Site;
use super::server::Result;

const MINUTE: u64 = 60;

pub async fn demo() -> Result<()> {
    let site = Site::open().await?;
    println!("listening on {}", site.url);
    let browser = Browser::new("alice", "wonderland")?;
    let client = log_in(&site, &browser).await?;
    expire(&site, &client).await?;
    call_five_times_at_once(&site, &client).await?;
    let site = site.restart().await?;
    survive_a_restart(&site, &client).await?;
    step_up(&client, &browser).await?;
    steal(&site, &client).await?;
    log_in_again(&client, &browser).await?;
    println!("\nEverything went as told.");
    site.close().await
}

async fn log_in(site: &Site, browser: &Browser) -> Result<Client> {
    println!("\nA client that knows the URL and no more");
    let challenge = knock(&site.mcp()).await?;
    told(challenge.contains("resource_metadata="), "401 tells it where to ask for tokens")?;
    let client = Client::log_in(&site.mcp(), &challenge, browser).await?;
    told(client.scopes().await == ["notes:read"], "it registers, Alice logs in and lets it read")?;
    say(client.whoami().await?)?;
    Ok(client)
}

async fn expire(site: &Site, client: &Client) -> Result<()> {
    println!("\n30 minutes later");
    let before = client.refresh_token().await?;
    site.pass(30 * MINUTE);
    say(client.whoami().await?)?;
    told(
        client.refresh_token().await? != before,
        "its access token had expired: it refreshed by itself, and called again",
    )?;
    told(site.count(Action::Rotate) == 1, "its refresh token was rotated")
}

async fn call_five_times_at_once(site: &Site, client: &Client) -> Result<()> {
    println!("\n30 minutes later, five processes with one credential file call at once");
    let rotations = site.count(Action::Rotate);
    let processes = try_join_all((0..5).map(|_| client.copy())).await?;
    site.pass(30 * MINUTE);
    let answers = try_join_all(processes.iter().map(Client::whoami)).await?;
    told(answers.iter().all(|answer| answer.contains("Alice")), &format!("{} of 5 calls succeeded", answers.len()))?;
    let (rotations, retries) = (site.count(Action::Rotate) - rotations, site.count(Action::Retry));
    told((rotations, retries) == (1, 4), &format!("{rotations} rotation; {retries} got the same successor again"))?;
    say(client.whoami().await?)
}

async fn survive_a_restart(site: &Site, client: &Client) -> Result<()> {
    println!("\nThe server restarts, on the same file and with the same keys");
    let rotations = site.count(Action::Rotate);
    say(client.whoami().await?)?;
    told(site.count(Action::Rotate) == rotations, "the access token from before is still good")?;
    site.pass(30 * MINUTE);
    say(client.whoami().await?)?;
    told(site.count(Action::Rotate) == rotations + 1, "30 minutes later the refresh token is, too")
}

async fn step_up(client: &Client, browser: &Browser) -> Result<()> {
    println!("\nThe client wants to write");
    let refusal = client.add_note("Buy milk").await.err().ok_or("writing was not refused")?;
    let needed = client::needed_scope(&*refusal).ok_or("the refusal does not say what it takes")?;
    told(needed == "notes:read notes:write", &format!("403 insufficient_scope: it takes {needed}"))?;
    client.authorize(needed, browser).await?;
    told(client.scopes().await.len() == 2, "Alice, asked once more, lets it write")?;
    say(client.add_note("Buy milk").await?)
}

async fn steal(site: &Site, client: &Client) -> Result<()> {
    println!("\nA thief has copied the refresh token");
    let stolen = client.refresh_token().await?;
    site.pass(30 * MINUTE);
    say(client.whoami().await?)?;
    told(client.refresh_token().await? != stolen, "the client refreshed meanwhile, so the copy is spent")?;
    site.pass(MINUTE);
    let (status, error) = site.refresh(&client.id().await?, &stolen).await?;
    told((status, &*error) == (StatusCode::BAD_REQUEST, "invalid_grant"), "the thief gets 400 invalid_grant")?;
    let last = site.last();
    let reuse = (Action::Reuse(OnReuse::RevokeFamily), Some(Reason::SpentToken));
    told(last == Some(reuse), "the audit has the reason: a spent token, so its family is revoked")?;
    let refused = client.whoami().await.err().ok_or("a dead family was served")?;
    told(client::is_asked_to_log_in(&*refused), "the client is out as well: 401, and its refresh token is no good")
}

async fn log_in_again(client: &Client, browser: &Browser) -> Result<()> {
    println!("\nAlice logs in again");
    client.authorize("notes:read", browser).await?;
    say(client.whoami().await?)
}

/// What a tool answered, who has to know its user.
fn say(answer: String) -> Result<()> {
    told(answer.contains("Alice"), &answer)
}

fn told(so: bool, what: &str) -> Result<()> {
    if !so {
        return Err(format!("not as told: {what}").into());
    }
    println!("✓ {what}");
    Ok(())
}
