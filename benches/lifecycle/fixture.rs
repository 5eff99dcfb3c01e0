//! The fixtures of all groups: a typical grant, and an issuer that rotates its families in turn.

use futures_executor::block_on;
use futures_util::{StreamExt, stream};
use mcp_token_lifecycle::{
    Answer, Client, Grant, KeyId, Keyring, MasterKey, RefreshRequest, Resource, RotationPolicy, Scope, TokenIssuer,
    TokenStore,
};

pub const SUBJECT: &str = "auth0|65f2c1a4b7d83e00129a4c7f";
pub const CLIENT: &str = "https://client.example/metadata.json";
pub const SCOPE: &str = "mcp:read mcp:write offline_access";
pub const AUDIENCE: &str = "https://mcp.example.com/mcp";

pub fn keyring() -> Keyring {
    Keyring::new(KeyId::new(20_261_121), MasterKey::from_bytes([7; 32]))
}

pub fn grant(user: usize) -> Grant {
    // The subject has the length of `SUBJECT`.
    let subject = format!("auth0|{user:024}");
    let (scope, resource) = (Scope::parse(SCOPE).unwrap(), Resource::parse(AUDIENCE).unwrap());
    Grant::new(subject, CLIENT, scope, resource).unwrap()
}

/// An issuer with the current refresh token of each family.
pub struct Deployment<S> {
    pub issuer: TokenIssuer<S>,
    pub client: Client,
    pub tokens: Vec<String>,
    next: usize,
}

impl<S: TokenStore> Deployment<S> {
    pub fn new(store: S, families: usize) -> Self {
        // Without a reuse leeway each refresh rotates, also in quick succession.
        let issuer = TokenIssuer::new(store, keyring()).with_policies(RotationPolicy::strict());
        let issue = async |user| issuer.issue(grant(user), None).await.unwrap().refresh_token.expose().to_owned();
        // Logins run concurrently, so that a store with group commit can batch them.
        let tokens = block_on(stream::iter((0..families).map(issue)).buffered(1024).collect());
        Self { issuer, client: Client::public(CLIENT), tokens, next: 0 }
    }

    /// Rotates the next family, in a scattered order.
    pub fn rotate(&mut self) {
        self.next = scattered(self.next, self.tokens.len());
        let answer = block_on(self.issuer.refresh(&RefreshRequest::new(&self.client, &self.tokens[self.next])));
        let Ok(Answer::Issue(response)) = answer else { panic!("a current token is rotated") };
        self.tokens[self.next].clear();
        self.tokens[self.next].push_str(response.refresh_token.expose());
    }
}

/// Returns the index after `at` in an order that visits all `count` indexes and causes cache misses.
pub fn scattered(at: usize, count: usize) -> usize {
    // This prime divides none of the counts in use.
    (at + 7919) % count
}
