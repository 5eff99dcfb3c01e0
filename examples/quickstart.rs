//! Shows one session from login to purge: verification, refresh, a lost response, concurrent refreshes, theft, restart and
//! revocation.
//!
//! Run it with `cargo run --example quickstart`.
//!
//! `Server` is the code that an application writes around the issuer. Each function that `main` calls is one step.
//! The program prints the result of each step and checks it. The first failed check ends the program with an error. The
//! program does not sleep: `Server::pass` advances the clock.

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
    // A real server reads its keys with `Keyring::from_file` or `Keyring::from_env` and keeps the store on a backed-up disk.
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
    println!("\nAll checks passed.");
    Ok(())
}

/// The part that an application writes around the issuer.
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

    /// Advances the clock by `seconds`. A real server uses the system clock and omits `with_clock`.
    fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Logs a user in with the authorization-code flow: first the authorization endpoint, then the token endpoint.
    fn log_in(&self, user: &str, client: &Client) -> Result<TokenResponse> {
        // PKCE: the client keeps the verifier secret and sends the hash of it.
        let verifier = random_verifier()?;
        let challenge = CodeChallenge::of_verifier(&verifier);

        // The authorization endpoint calls this after the user has logged in and consented.
        let scope = Scope::parse("notes:read notes:write")?;
        let grant = Grant::new(user, client.id(), scope, Resource::parse(HERE)?)?;
        let code = block_on(self.issuer.authorize(AuthorizeRequest::new(grant, challenge, REDIRECT)))?;

        // The token endpoint calls this for grant_type=authorization_code.
        let request = RedeemRequest::new(client, code.expose(), REDIRECT, &verifier);
        Ok(block_on(self.issuer.redeem(&request))?.into_result()?)
    }

    /// The token endpoint calls this for grant_type=refresh_token.
    fn refresh(&self, client: &Client, tokens: &TokenResponse) -> Result<Answer> {
        Ok(block_on(self.issuer.refresh(&RefreshRequest::new(client, tokens.refresh_token.expose())))?)
    }
}

/// Returns a PKCE verifier of 43 random characters. The client keeps it secret until it redeems the code.
fn random_verifier() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Base64UrlUnpadded::encode_string(&bytes))
}

fn log_in(server: &Server, client: &Client) -> Result<TokenResponse> {
    step(1, "Alice logs in with an authorization code and PKCE");
    let tokens = server.log_in("alice", client)?;
    show("access token", format!("{}, expires in {} s", short(tokens.access_token.expose()), tokens.expires_in));
    show("refresh token", short(tokens.refresh_token.expose()));
    show("session ends", format!("in {} days; a refresh does not extend this", tokens.authorization_expires_in / DAY));
    Ok(tokens)
}

fn verify(server: &Server, tokens: &TokenResponse) -> Result<()> {
    step(2, "Each request verifies the access token without a store read");
    let (here, elsewhere) = (Resource::parse(HERE)?, Resource::parse(ELSEWHERE)?);
    let access_token = tokens.access_token.expose();
    let claims = server.issuer.verify(access_token, &Expectation::resource(&here))?;
    show("notes.example", format!("accepts the token: subject {}, scope {}", claims.subject(), claims.scope()));
    ensure(claims.subject() == "alice", "the token is Alice's")?;
    let Err(refused) = server.issuer.verify(access_token, &Expectation::resource(&elsewhere)) else {
        return ensure(false, "another server's resource is refused");
    };
    show("mail.example", format!("refuses the token: {refused}"));
    ensure(refused == VerifyError::Audience, "a token for one server is refused at another")
}

fn refresh(server: &Server, client: &Client, tokens: &TokenResponse) -> Result<TokenResponse> {
    step(3, "20 minutes later Alice's client refreshes");
    server.pass(20 * MINUTE);
    let next = server.refresh(client, tokens)?.into_result()?;
    show("refresh token", format!("{} is spent, its successor is {}", token(tokens), token(&next)));
    ensure(token(&next) != token(tokens), "a refresh rotates the token")?;
    Ok(next)
}

fn lose_a_response(server: &Server, client: &Client, tokens: &TokenResponse) -> Result<TokenResponse> {
    step(4, "The client loses a response and repeats the request 10 seconds later");
    server.pass(20 * MINUTE);
    let lost = server.refresh(client, tokens)?.into_result()?;
    server.pass(10);
    let again = server.refresh(client, tokens)?.into_result()?;
    show("lost response", token(&lost));
    show("second response", format!("{}, the same token (retry: {})", token(&again), again.retry));
    ensure(again.retry && !lost.retry, "the answer marks the retry")?;
    ensure(again.refresh_token.expose() == lost.refresh_token.expose(), "a retry gets the same successor")?;
    Ok(again)
}

fn refresh_five_times_at_once(server: &Server, client: &Client, tokens: &TokenResponse) -> Result<TokenResponse> {
    step(5, "Five threads of the client refresh at once");
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
    show("successor", format!("{} for {} of 5 threads", token(&next), successors.len() + 1));
    show("audit log", format!("{} rotation", rotations() - before));
    ensure(successors.len() == 4, "all five get the same successor")?;
    ensure(rotations() - before == 1, "the token is rotated once")?;
    Ok(next)
}

fn steal(server: &Server, client: &Client, spent: &TokenResponse, current: &TokenResponse) -> Result<()> {
    step(6, "5 minutes later a thief presents a copy of the spent token");
    server.pass(5 * MINUTE);
    show("thief", format!("gets {} for {}", refusal(server.refresh(client, spent)?)?, token(spent)));
    show("Alice's client", format!("gets {} for {}", refusal(server.refresh(client, current)?)?, token(current)));

    // The server cannot tell the thief from Alice's client, so it revokes the family and Alice must log in again. The offline
    // check accepts her access token until it expires. The live check reads the family and refuses the token at once.
    let here = Resource::parse(HERE)?;
    let expect = Expectation::resource(&here);
    let access = current.access_token.expose();
    let offline = server.issuer.verify(access, &expect);
    let live = match block_on(server.issuer.verify_live(access, &expect)) {
        Ok(claims) => Ok(claims),
        Err(error) => Err(error.refusal()?),
    };
    show("offline check", if offline.is_ok() { "accepts the access token until it expires" } else { "refuses it" });
    show(
        "live check",
        if live.is_ok() { "accepts the access token" } else { "refuses the access token: its session is revoked" },
    );
    ensure(offline.is_ok() && live == Err(VerifyError::Revoked), "the live check sees the revocation")?;

    println!("\n   The audit log records the reason. The client receives only `invalid_grant`.\n");
    println!("   {:<22}{:<21}{:<16}{:<10}client", "time", "action", "reason", "family");
    lock(&server.audit).iter().for_each(print_event);
    Ok(())
}

fn survive_a_restart(server: &Server, client: &Client, alice: &TokenResponse, bob: &TokenResponse) -> Result<()> {
    step(7, "The server restarts on the same file; Bob logged in before the restart");
    let next = server.refresh(client, bob)?.into_result()?;
    show("Bob's client", format!("refreshes: {} is spent, its successor is {}", token(bob), token(&next)));
    show("Alice's client", format!("gets {}: her session is still revoked", refusal(server.refresh(client, alice)?)?));
    Ok(())
}

fn revoke_by_user(server: &Server) -> Result<()> {
    step(8, "Bob lists his sessions and revokes all of them");
    server.pass(60 * MINUTE);
    let phone = server.log_in("bob", &Client::public("phone-app"))?;
    let sessions = block_on(server.issuer.list_families("bob"))?;
    for family in &sessions {
        show(
            family.grant().client_id(),
            format!("active since {}, scope {}", family.created_at(), family.grant().scope()),
        );
    }
    ensure(sessions.len() == 2, "Bob has two sessions")?;
    let revoked = block_on(server.issuer.revoke_subject("bob"))?;
    let left = block_on(server.issuer.list_families("bob"))?.len();
    show("revoked", format!("{revoked} sessions, {left} remaining"));
    ensure(revoked == 2 && left == 0, "all sessions of the user are revoked")?;
    refusal(server.refresh(&Client::public("phone-app"), &phone)?).map(drop)
}

fn purge(server: &Server) -> Result<()> {
    step(9, "A purge removes sessions after all of their tokens have expired");
    show("purged today", block_on(server.issuer.purge())?);
    server.pass(90 * DAY);
    let purged = block_on(server.issuer.purge())?;
    show("90 days later", purged);
    ensure(purged == 3, "a login has one record, after any number of refreshes")
}

fn step(number: u32, title: &str) {
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

/// Returns the printable part of the refresh token.
fn token(tokens: &TokenResponse) -> String {
    short(tokens.refresh_token.expose())
}

/// Returns the prefix and the last four characters of a token. A program must not print more of a token.
fn short(token: &str) -> String {
    format!("{}..{}", &token[..6], &token[token.len() - 4..])
}

/// Returns the error of a refused token. Clients receive `invalid_grant` for each kind of invalid token.
fn refusal(answer: Answer) -> Result<ErrorCode> {
    match answer {
        Answer::Deny(refusal) if refusal.error == ErrorCode::InvalidGrant => Ok(refusal.error),
        other => Err(format!("expected invalid_grant, got {other:?}").into()),
    }
}

fn ensure(condition: bool, what: &str) -> Result<()> {
    if condition { Ok(()) } else { Err(format!("check failed: {what}").into()) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
