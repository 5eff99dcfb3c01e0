//! A victim who refreshes when its access token expires, and a thief who does when it seems best.

use crate::support::FillRng;
use std::fmt;
use std::sync::Arc;

use mcp_token_lifecycle::{Clock, MemoryStore, PolicySet, RefreshRequest, Scope, TokenResponse};

use crate::random::Random;
use crate::support::{Bench, bench_on, client, grant, keyring, rt, scope};

/// When the thief refreshes.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// In the middle of the span in which the victim's access token expires.
    Middle,
    /// At a random moment of it.
    Anywhere,
    /// When the victim's access token would expire without jitter.
    End,
    /// When its own access token expires, and first in the middle of the victim's span.
    Own,
    /// Its first time when the victim's access token expires, because the client's note of that was copied too; from then on
    /// in the middle.
    Noted,
}

impl Aim {
    /// What a thief can do who knows the policy and his own tokens.
    pub const ALL: [Self; 4] = [Self::Middle, Self::Anywhere, Self::End, Self::Own];
}

pub struct Theft {
    policies: PolicySet,
    aim: Aim,
    /// The scope that the victim asks for.
    scope: Option<&'static str>,
    servers: usize,
    random: Random,
}

/// After how many rotations each theft was found, in order. A theft that outlived the family is at the end.
pub struct Found(Vec<u32>);

impl Theft {
    pub fn new(policies: impl Into<PolicySet>, aim: Aim, servers: usize) -> Self {
        Self { policies: policies.into(), aim, scope: None, servers, random: Random::new(1) }
    }

    pub fn with_scope(self, scope: &'static str) -> Self {
        Self { scope: Some(scope), ..self }
    }

    pub fn run(&self, runs: usize) -> Found {
        let store = Arc::new(MemoryStore::new());
        let mut first = bench_on(Arc::clone(&store), keyring(), self.policies.clone());
        let mut last = first.twin(store, keyring(), self.policies.clone());
        first.issuer = first.issuer.with_rng(FillRng(Random::new(2)));
        last.issuer = last.issuer.with_rng(FillRng(Random::new(3)));
        let thiefs = if self.servers == 1 { &first } else { &last };
        let mut found: Vec<_> = (0..runs).filter_map(|_| self.once(&first, thiefs)).collect();
        found.sort_unstable();
        assert!(found.len() * 2 > runs, "most families end before the theft is found");
        Found(found)
    }

    /// `None` if the family ends first.
    fn once(&self, victims: &Bench<Arc<MemoryStore>>, thiefs: &Bench<Arc<MemoryStore>>) -> Option<u32> {
        let now = || victims.clock.now().as_unix();
        let ask = |bench: &Bench<Arc<MemoryStore>>, token: &TokenResponse, at: u64| {
            bench.clock.set_unix(at);
            bench.ask(RefreshRequest::new(&client(), rt(token)).scope(self.scope))
        };
        let begun = victims.begin(grant());
        let mut victim = ask(victims, &begun, now()).ok()?;
        let end = now() + victim.authorization_expires_in;
        let mut thief: Option<TokenResponse> = None;
        for rotation in 1..10_000 {
            let issued = now();
            let due = issued + victim.expires_in;
            let aimed = self.aim(issued, end, thief.as_ref(), due);
            if due >= end || aimed >= end {
                return None;
            }
            let stolen = thief.as_ref().unwrap_or(&victim);
            let (victims_next, thiefs_next) = if due <= aimed {
                let next = ask(victims, &victim, due);
                (next, ask(thiefs, stolen, aimed))
            } else {
                let next = ask(thiefs, stolen, aimed);
                (ask(victims, &victim, due), next)
            };
            let (Ok(next), Ok(copy)) = (victims_next, thiefs_next) else { return Some(rotation) };
            // Both hold the current token again, and the thief knows when the victim's was issued.
            victims.clock.set_unix(due);
            (victim, thief) = (next, Some(copy));
        }
        Some(10_000)
    }

    fn aim(&self, issued: u64, end: u64, thief: Option<&TokenResponse>, due: u64) -> u64 {
        let scope = self.scope.map_or_else(|| grant().scope().clone(), scope);
        let longest = self.longest(&scope).min(end - issued);
        let span = self.span(longest);
        match (self.aim, thief) {
            (Aim::Noted, None) => due,
            (Aim::Own, Some(thief)) => issued + thief.expires_in,
            (Aim::Middle | Aim::Own | Aim::Noted, _) => issued + longest - span / 2,
            (Aim::Anywhere, _) => issued + longest - self.random.below(span + 1),
            (Aim::End, _) => issued + longest,
        }
    }

    fn longest(&self, scope: &Scope) -> u64 {
        self.policies.access_lifetime("client-1", scope).as_secs()
    }

    /// As the documentation states it.
    fn span(&self, lifetime: u64) -> u64 {
        self.policies.policy("client-1").jitter_span(std::time::Duration::from_secs(lifetime)).as_secs()
    }
}

impl Found {
    pub fn median(&self) -> u32 {
        self.percentile(50)
    }

    pub fn percentile(&self, percent: usize) -> u32 {
        self.0[(self.0.len() * percent).div_ceil(100) - 1]
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, p99, worst) = (self.median(), self.percentile(99), self.percentile(100));
        write!(f, "{} thefts: median {median}, 99 % {p99}, worst {worst} rotations", self.0.len())
    }
}
