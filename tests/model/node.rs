//! What a node makes of a request: the real issuer, run once on the record that was loaded.

use crate::support::{Dry, Fill, FillRng};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use mcp_token_lifecycle::{
    Action, AuthorizeRequest, Binding, Client, CodeChallenge, Commit, Cursor, Expectation, Page, Record, RecordKey,
    RedeemRequest, RefreshRequest, Select, StoreError, Timestamp, TokenStore,
};

use crate::request::{Call, Fate, Lack, Reply, Request, Sealed};
use crate::setup::{Setup, ticks};
use crate::support::forge::{bytes_of, tampered};
use crate::support::{self, Bench, REDIRECT, START, VERIFIER, block_on, verdict};
use crate::tokens::Token;

const KEY: Binding = Binding::DpopKey([1; 32]);
const OTHER_KEY: Binding = Binding::DpopKey([2; 32]);

/// What was decided: a write, and the reply that holds once it is committed.
#[derive(Clone, Copy)]
pub struct Attempt {
    pub write: Option<Sealed>,
    pub reply: Reply,
}

/// The issuer that all nodes run. Nothing but its arguments bears on an attempt, so each is made once.
pub struct Node {
    bench: Bench<Slot>,
    bound: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    records: HashMap<Sealed, Record>,
    codes_and_refresh_tokens: HashMap<Token, String>,
    /// The same the other way round: a token does not show when it was issued.
    tokens: HashMap<String, Token>,
    access_tokens: HashMap<Token, String>,
    attempts: HashMap<(Sealed, Sealed, Request, u8), Attempt>,
}

impl Node {
    /// With the record and the code that the family begins with.
    pub fn new(setup: &Setup) -> (Self, Sealed, Token) {
        let bench = support::bench_on(Slot::default(), support::keyring(), setup.policy());
        let bench = Bench { issuer: bench.issuer.with_rng(FillRng(Same)), ..bench };
        let request = AuthorizeRequest::new(support::grant(), CodeChallenge::of_verifier(VERIFIER), REDIRECT);
        let request = if setup.bound { request.binding(KEY) } else { request };
        let code = block_on(bench.issuer.authorize(request)).unwrap();
        let mut known = Known::default();
        let token = known.learn(code.expose(), 0);
        let record = known.keep(bench.issuer.store().take(), Fate::Alive);
        (Self { bench, bound: setup.bound, known: Mutex::new(known) }, record, token)
    }

    /// Load, decide, seal: what is to be committed, and what to reply. The first look at the store finds `loaded`, every later
    /// one `current`.
    pub fn attempt(&self, loaded: Sealed, current: Sealed, request: Request, now: u8) -> Attempt {
        let mut known = self.known.lock().unwrap();
        let key = (loaded, current, request, now);
        if let Some(attempt) = known.attempts.get(&key) {
            return *attempt;
        }
        let store = self.bench.issuer.store();
        store.put(known.records[&loaded].clone(), known.records[&current].clone());
        self.bench.clock.set(Timestamp::from_unix(START).saturating_add(ticks(now)));
        let reply = self.serve(&mut known, request, now);
        let fate = match self.bench.audit.take().last().map(|event| event.action) {
            Some(Action::Reuse(_)) => Fate::Reused,
            Some(Action::Revoke(_)) => Fate::Revoked,
            _ => Fate::Alive,
        };
        let stored = store.take();
        let write = (stored.version != current.version).then(|| known.keep(stored, fate));
        *known.attempts.entry(key).or_insert(Attempt { write, reply })
    }

    fn serve(&self, known: &mut Known, Request { call, token, lack }: Request, now: u8) -> Reply {
        let issuer = &self.bench.issuer;
        let client = Client::public(if lack == Some(Lack::Client) { "client-2" } else { "client-1" });
        let binding = match lack {
            Some(Lack::Proof) => None,
            Some(Lack::Key) => Some(OTHER_KEY),
            _ => self.bound.then_some(KEY),
        };
        let verifier =
            if lack == Some(Lack::Verifier) { "another-verifier-of-forty-three-characters.." } else { VERIFIER };
        let text = match call {
            Call::Live => &known.access_tokens[&token],
            Call::Exchange | Call::Straggle | Call::Revoke => &known.codes_and_refresh_tokens[&token],
        };
        let text = match lack {
            Some(Lack::Guard) => tampered(text, 40),
            Some(Lack::Mac) => tampered(text, 60),
            _ => text.clone(),
        };
        let answer = match call {
            Call::Live => {
                let here = support::resource();
                let expectation = Expectation::resource(&here);
                let expectation = binding.iter().fold(expectation, Expectation::binding);
                return match block_on(issuer.verify_live(&text, &expectation)) {
                    Ok(_) => Reply::Live,
                    Err(error) => error.refusal().map(|_| Reply::Nothing).unwrap(),
                };
            }
            Call::Revoke => {
                block_on(issuer.revoke(&client, &text, binding.as_ref())).unwrap();
                return Reply::Nothing;
            }
            Call::Exchange | Call::Straggle if token.is_code() => {
                let request = RedeemRequest::new(&client, &text, REDIRECT, verifier);
                block_on(issuer.redeem(&binding.into_iter().fold(request, RedeemRequest::binding)))
            }
            Call::Exchange | Call::Straggle => {
                let request = RefreshRequest::new(&client, &text);
                block_on(issuer.refresh(&binding.into_iter().fold(request, RefreshRequest::binding)))
            }
        };
        let Ok(tokens) = verdict(answer) else { return Reply::Nothing };
        let refresh = known.learn(support::rt(&tokens), now);
        if !tokens.retry {
            known.access_tokens.insert(refresh, tokens.access_token.expose().to_owned());
        }
        Reply::Tokens { refresh, retry: tokens.retry }
    }
}

impl Known {
    /// A token that was not seen before is issued now.
    fn learn(&mut self, text: &str, now: u8) -> Token {
        let generation = u64::from_be_bytes(bytes_of(text)[21..29].try_into().unwrap());
        let token = *self.tokens.entry(text.to_owned()).or_insert_with(|| Token::new(generation, now.into()));
        self.codes_and_refresh_tokens.insert(token, text.to_owned());
        token
    }

    fn keep(&mut self, record: Record, fate: Fate) -> Sealed {
        let mut digest = DefaultHasher::new();
        record.payload.hash(&mut digest);
        let sealed = Sealed { version: record.version, fate, digest: digest.finish() };
        self.records.insert(sealed, record);
        sealed
    }
}

/// A store of one record, which the model puts in and takes out: what the first look finds, and what every later one does.
#[derive(Default)]
struct Slot(Mutex<(Option<Record>, Option<Record>)>);

impl Slot {
    fn put(&self, first: Record, later: Record) {
        *self.0.lock().unwrap() = (Some(first), Some(later));
    }

    fn take(&self) -> Record {
        self.0.lock().unwrap().1.take().unwrap()
    }
}

impl TokenStore for Slot {
    async fn get(&self, _key: RecordKey) -> Result<Option<Record>, StoreError> {
        let mut slot = self.0.lock().unwrap();
        Ok(slot.0.take().or_else(|| slot.1.clone()))
    }

    /// The comparison with what is in the store by then is the model's to make, when it lets the node go on.
    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        let later = &mut self.0.lock().unwrap().1;
        if later.as_ref().is_some_and(|current| record.version != current.version + 1) {
            return Ok(Commit::Conflict);
        }
        *later = Some(record);
        Ok(Commit::Applied)
    }

    async fn list(&self, _select: Select, _after: Option<Cursor>, _limit: usize) -> Result<Page, StoreError> {
        unimplemented!("no node lists")
    }

    async fn purge(&self, _now: Timestamp, _limit: usize) -> Result<usize, StoreError> {
        unimplemented!("no node purges")
    }
}

/// Every draw gives the same, so that equal families have equal records.
struct Same;

impl Fill for Same {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Dry> {
        bytes.fill(9);
        Ok(())
    }
}
