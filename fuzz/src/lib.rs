//! What the targets share: an issuer that always issues the same, and edits of what it issued.

use std::future::Future;
use std::pin::pin;
use std::convert::Infallible;
use std::task::{Context, Poll, Waker};

use mcp_token_lifecycle::rand_core::{TryCryptoRng, TryRng};
use mcp_token_lifecycle::{
    AuthorizeRequest, Client, CodeChallenge, Grant, KeyId, Keyring, MasterKey, MemoryStore,
    RedeemRequest, Resource, Scope, Timestamp, TokenIssuer, clock_from_fn,
};

pub const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
pub const SUBJECT: &str = "user-1";
const REDIRECT: &str = "http://127.0.0.1:7777/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A primary and a retired key.
pub fn keyring() -> Keyring {
    let retired = MasterKey::from_bytes([8; 32]);
    Keyring::new(KeyId::new(2), MasterKey::from_bytes([7; 32])).with_retired(KeyId::new(1), retired).unwrap()
}

pub fn resource() -> Resource {
    Resource::parse("https://mcp.example.com/mcp").unwrap()
}

pub fn grant() -> Grant {
    let scope = Scope::parse("mcp:read mcp:write").unwrap();
    Grant::new(SUBJECT, "client-1", scope, resource()).unwrap().with_claim("tenant", "acme").unwrap()
}

/// Counts, so that a run can be repeated.
#[derive(Default)]
struct Counter(u8);

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|number| number as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0);
        self.0 = self.0.wrapping_add(1);
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

/// An issuer with [`keyring`], at [`NOW`].
pub fn issuer() -> TokenIssuer<MemoryStore> {
    TokenIssuer::new(MemoryStore::new(), keyring()).with_clock(clock_from_fn(|| NOW)).with_rng(Counter::default())
}

/// A code, redeemed, so that its family is listed; and, of another family, a refresh token and an access token.
pub fn tokens(issuer: &TokenIssuer<MemoryStore>) -> [String; 3] {
    let request = AuthorizeRequest::new(grant(), CodeChallenge::of_verifier(VERIFIER), REDIRECT);
    let code = ready(issuer.authorize(request)).unwrap();
    let client = Client::public("client-1");
    let redeemed = ready(issuer.redeem(&RedeemRequest::new(&client, code.expose(), REDIRECT, VERIFIER))).unwrap();
    redeemed.into_result().unwrap();
    let tokens = ready(issuer.issue(grant(), None)).unwrap();
    [code.expose(), tokens.refresh_token.expose(), tokens.access_token.expose()].map(str::to_owned)
}

/// The output of a future that never waits.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a store in memory answers at once"),
    }
}

/// A text made of `data`: as it is, or a genuine token with some characters replaced, inserted, or cut off.
pub fn presented(data: &[u8], genuine: &[String]) -> String {
    let Some((&kind, rest)) = data.split_first() else { return String::new() };
    let Some(token) = genuine.get(usize::from(kind)) else { return String::from_utf8_lossy(rest).into_owned() };
    let mut text: Vec<char> = token.chars().collect();
    for edit in rest.chunks_exact(3) {
        let (at, byte) = (usize::from(edit[1]) % text.len().max(1), char::from(edit[2]));
        match edit[0] % 4 {
            0 | 1 if at < text.len() => text[at] = byte,
            2 => text.insert(at, byte),
            _ => text.truncate(text.len() - at),
        }
    }
    text.into_iter().collect()
}
