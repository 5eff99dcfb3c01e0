//! The life of a session, from login to theft to the last purge: `cargo run --example quickstart`.
//!
//! `Server` is what an application writes; each function below `main` is a chapter of the story. Nothing sleeps: time is a
//! clock turned by hand. Everything that is told is checked, and the first thing that is not so ends the program with an error.

use std::error::Error;
use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;

use base64ct::{Base64UrlUnpadded, Encoding};
use mcp_token_lifecycle::audit_from_fn;
use mcp_token_lifecycle::clock_from_fn;
use mcp_token_lifecycle::{
    Action, Answer, AuditEvent, AuthorizeRequest, Client, CodeChallenge, ErrorCode, Expectation, Grant, Keyring,
    MasterKey, RedbStore, RedeemRequest, RefreshRequest, Resource, RotationPolicy, Scope, Timestamp, TokenIssuer,
    TokenResponse, VerifyError,
};
use pollster::block_on;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const HERE: &str = "https://notes.example/mcp";
const ELSEWHERE: &str = "https://mail.example/mcp";
const REDIRECT: &str = "http://127.0.0.1:7777/callback";
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

fn main() -> Result<()> {
    // In real life: `Keyring::from_file` or `Keyring::from_env`, and a store in a place that is backed up.
    let keys = format!("1:{}", MasterKey::generate()?.to_base64().as_str());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tokens.redb");
    let clock = Arc::new(AtomicU64::new(1_800_000_000));
    let laptop = Client::public("laptop-app");

    let server = Server::start(&file, &keys, &clock)?;
    let login = log_in(&server, &laptop)?;
    verify(&server, &login)?;
    let second = refresh(&server, &laptop, &login)?;
    let third = lose_a_response(&server, &laptop, &second)?;
    let fourth = refresh_five_times_at_once(&server, &laptop, &third)?;
    steal(&server, &laptop, &third, &fourth)?;

    let bob = server.log_in("bob", &laptop)?;
    drop(server);
    let server = Server::start(&file, &keys, &clock)?;
    survive_a_restart(&server, &laptop, &fourth, &bob)?;
    revoke_by_user(&server)?;
    purge(&server)?;
    println!("\nEverything went as told.");
    Ok(())
}

/// What an application builds around the issuer.
struct Server {
    issuer: TokenIssuer<RedbStore>,
    clock: Arc<AtomicU64>,
    audit: Arc<Mutex<Vec<AuditEvent>>>,
}

impl Server {
    fn start(file: &Path, keys: &str, clock: &Arc<AtomicU64>) -> Result<Self> {
        let (clock, audit) = (Arc::clone(clock), Arc::new(Mutex::new(Vec::new())));
        let (time, sink) = (Arc::clone(&clock), Arc::clone(&audit));
        let issuer = TokenIssuer::new(RedbStore::open(file)?, Keyring::parse(keys)?)
            .with_policies(RotationPolicy::standard())
            .with_clock(clock_from_fn(move || Timestamp::from_unix(time.load(Ordering::SeqCst))))
            .with_audit(audit_from_fn(move |event: &AuditEvent| lock(&sink).push(event.clone())));
        Ok(Self { issuer, clock, audit })
    }

    /// Only a story turns the clock by hand; a server leaves `with_clock` out.
    fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A login with a code: both endpoints in a row.
    fn log_in(&self, user: &str, client: &Client) -> Result<TokenResponse> {
        // The client keeps a secret to itself and sends its hash (PKCE).
        let verifier = random_verifier()?;
        let challenge = CodeChallenge::of_verifier(&verifier);

        // Your authorization endpoint, once the user has logged in and consented.
        let scope = Scope::parse("notes:read notes:write")?;
        let grant = Grant::new(user, client.id(), scope, Resource::parse(HERE)?)?;
        let code = block_on(self.issuer.authorize(AuthorizeRequest::new(grant, challenge, REDIRECT)))?;

        // Your token endpoint, for grant_type=authorization_code.
        let request = RedeemRequest::new(client, code.expose(), REDIRECT, &verifier);
        Ok(block_on(self.issuer.redeem(&request))?.into_result()?)
    }

    /// Your token endpoint, for grant_type=refresh_token.
    fn refresh(&self, client: &Client, tokens: &TokenResponse) -> Result<Answer> {
        Ok(block_on(self.issuer.refresh(&RefreshRequest::new(client, tokens.refresh_token.expose())))?)
    }
}

/// What a client keeps to itself: 43 random characters.
fn random_verifier() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Base64UrlUnpadded::encode_string(&bytes))
}

fn log_in(server: &Server, client: &Client) -> Result<TokenResponse> {
    chapter(1, "Alice logs in with a code and PKCE");
    let tokens = server.log_in("alice", client)?;
    show("access token", format!("{} for {} s", short(tokens.access_token.expose()), tokens.expires_in));
    show("refresh token", short(tokens.refresh_token.expose()));
    show("session ends", format!("in {} days, however often it refreshes", tokens.authorization_expires_in / DAY));
    Ok(tokens)
}

fn verify(server: &Server, tokens: &TokenResponse) -> Result<()> {
    chapter(2, "Every request verifies the access token offline: no store is asked");
    let (here, elsewhere) = (Resource::parse(HERE)?, Resource::parse(ELSEWHERE)?);
    let access_token = tokens.access_token.expose();
    let claims = server.issuer.verify(access_token, &Expectation::resource(&here))?;
    show("at notes.example", format!("{} may {}", claims.subject(), claims.scope()));
    ensure(claims.subject() == "alice", "the token is Alice's")?;
    let Err(refused) = server.issuer.verify(access_token, &Expectation::resource(&elsewhere)) else {
        return ensure(false, "another server's resource is refused");
    };
    show("at mail.example", refused);
    ensure(refused == VerifyError::Audience, "a token for one server is no good at another")
}

fn refresh(server: &Server, client: &Client, tokens: &TokenResponse) -> Result<TokenResponse> {
    chapter(3, "20 minutes later her client refreshes");
    server.pass(20 * MINUTE);
    let next = server.refresh(client, tokens)?.into_result()?;
    show("refresh token", format!("{} is spent, {} follows", token(tokens), token(&next)));
    ensure(token(&next) != token(tokens), "a refresh rotates the token")?;
    Ok(next)
}

fn lose_a_response(server: &Server, client: &Client, tokens: &TokenResponse) -> Result<TokenResponse> {
    chapter(4, "A response gets lost, and 10 seconds later the client tries again");
    server.pass(20 * MINUTE);
    let lost = server.refresh(client, tokens)?.into_result()?;
    server.pass(10);
    let again = server.refresh(client, tokens)?.into_result()?;
    show("lost", token(&lost));
    show("on the retry", format!("{}, the same (retry: {})", token(&again), again.retry));
    ensure(again.retry && !lost.retry, "the application is told that this is a retry")?;
    ensure(again.refresh_token.expose() == lost.refresh_token.expose(), "a retry gets the same successor")?;
    Ok(again)
}

fn refresh_five_times_at_once(server: &Server, client: &Client, tokens: &TokenResponse) -> Result<TokenResponse> {
    chapter(5, "Five threads of the client refresh at once");
    server.pass(20 * MINUTE);
    let request = RefreshRequest::new(client, tokens.refresh_token.expose());
    let rotations = || lock(&server.audit).iter().filter(|event| event.action == Action::Rotate).count();
    let (before, ready) = (rotations(), Barrier::new(5));
    let refresh = || {
        ready.wait();
        block_on(server.issuer.refresh(&request))
    };
    let mut successors = thread::scope(|scope| -> Result<Vec<_>> {
        let threads: Vec<_> = (0..5).map(|_| scope.spawn(refresh)).collect();
        threads.into_iter().map(|t| Ok(t.join().map_err(|_| "a thread panicked")??.into_result()?)).collect()
    })?;
    let next = successors.pop().ok_or("five answers were expected")?;
    successors.retain(|other| other.refresh_token.expose() == next.refresh_token.expose());
    show("successor", format!("{} for {} of 5", token(&next), successors.len() + 1));
    show("in the audit", format!("{} rotation", rotations() - before));
    ensure(successors.len() == 4, "all five get the same successor")?;
    ensure(rotations() - before == 1, "the token is rotated once")?;
    Ok(next)
}

fn steal(server: &Server, client: &Client, spent: &TokenResponse, current: &TokenResponse) -> Result<()> {
    chapter(6, "5 minutes later a thief uses a copy of the token that was spent");
    server.pass(5 * MINUTE);
    show("the thief", format!("{} for {}", refusal(server.refresh(client, spent)?)?, token(spent)));
    show("Alice", format!("{} for {}", refusal(server.refresh(client, current)?)?, token(current)));

    // Nobody can tell which of the two is the thief, so both are out and Alice logs in again. Her access token passes an
    // offline check until it expires; the live check reads the family, for calls that cannot wait that long.
    let here = Resource::parse(HERE)?;
    let expect = Expectation::resource(&here);
    let access = current.access_token.expose();
    let offline = server.issuer.verify(access, &expect);
    let live = block_on(server.issuer.verify_live(access, &expect))?;
    show("offline check", if offline.is_ok() { "the access token is good until it expires" } else { "refused" });
    show("live check", if live.is_ok() { "the access token is good" } else { "the access token has been revoked" });
    ensure(offline.is_ok() && live == Err(VerifyError::Revoked), "the live check sees the revocation")?;

    println!("\n   The audit trail tells why; the client was told `invalid_grant` and no more.\n");
    println!("   {:<22}{:<21}{:<16}{:<10}client", "time", "action", "reason", "family");
    lock(&server.audit).iter().for_each(print_event);
    Ok(())
}

fn survive_a_restart(server: &Server, client: &Client, alice: &TokenResponse, bob: &TokenResponse) -> Result<()> {
    chapter(7, "Bob logs in, and the server restarts on the same file");
    let next = server.refresh(client, bob)?.into_result()?;
    show("Bob", format!("goes on: {} is spent, {} follows", token(bob), token(&next)));
    show("Alice", format!("{}: what is dead stays dead", refusal(server.refresh(client, alice)?)?));
    Ok(())
}

fn revoke_by_user(server: &Server) -> Result<()> {
    chapter(8, "Bob looks at his sessions and ends them all");
    server.pass(60 * MINUTE);
    let phone = server.log_in("bob", &Client::public("phone-app"))?;
    let sessions = block_on(server.issuer.list_families("bob"))?;
    for family in &sessions {
        show(family.grant().client_id(), format!("since {}, {}", family.created_at(), family.grant().scope()));
    }
    ensure(sessions.len() == 2, "Bob has two sessions")?;
    let revoked = block_on(server.issuer.revoke_subject("bob"))?;
    let left = block_on(server.issuer.list_families("bob"))?.len();
    show("revoked", format!("{revoked}, {left} left"));
    ensure(revoked == 2 && left == 0, "every session of the user ends")?;
    refusal(server.refresh(&Client::public("phone-app"), &phone)?).map(drop)
}

fn purge(server: &Server) -> Result<()> {
    chapter(9, "Dead families are kept until nobody can hold a token of theirs");
    show("purged today", block_on(server.issuer.purge())?);
    server.pass(90 * DAY);
    let purged = block_on(server.issuer.purge())?;
    show("90 days later", purged);
    ensure(purged == 3, "one record for each login, however often it was refreshed")
}

fn chapter(number: u32, title: &str) {
    println!("\n{number}. {title}");
}

fn show(label: &str, value: impl Display) {
    println!("   {label:<18}{value}");
}

fn print_event(event: &AuditEvent) {
    let reason = event.reason.map(|reason| format!("{reason:?}")).unwrap_or_default();
    let family = event.family.map(|id| id.to_string()).unwrap_or_default();
    let (at, action, client) = (event.at.to_string(), event.action.as_str(), event.client_id.as_deref().unwrap_or("-"));
    println!("   {at:<22}{action:<21}{reason:<16}{family:<10.8}{client}");
}

/// The refresh token, as far as it may be shown.
fn token(tokens: &TokenResponse) -> String {
    short(tokens.refresh_token.expose())
}

/// The kind of a token and its last four characters: never print more.
fn short(token: &str) -> String {
    format!("{}..{}", &token[..6], &token[token.len() - 4..])
}

/// The one thing that a client gets to know of a token that is no good, for whatever reason.
fn refusal(answer: Answer) -> Result<ErrorCode> {
    match answer {
        Answer::Deny(refusal) if refusal.error == ErrorCode::InvalidGrant => Ok(refusal.error),
        other => Err(format!("not as told: {other:?} in place of invalid_grant").into()),
    }
}

fn ensure(condition: bool, what: &str) -> Result<()> {
    if condition { Ok(()) } else { Err(format!("not as told: {what}").into()) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
