//! Measures the per-request path: the verification and the refusal of a token.

use std::hint::black_box;
use std::time::Duration;

use allocation_counter::measure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_executor::block_on;
use hmac::{Hmac, KeyInit, Mac};
use mcp_token_lifecycle::{
    Answer, Client, Expectation, MemoryStore, RefreshRequest, Resource, SystemClock, Timestamp, TokenIssuer,
    VerifyError,
};
use sha2::Sha256;

use crate::aead::Bare;
use crate::fixture::{AUDIENCE, CLIENT, grant, keyring};
use crate::measure::Race;
use crate::rivals::jwt::Jwt;
use crate::rivals::paseto::Paseto;
use crate::table::{Table, Target};

/// The bytes around the sealed claims: version, key id and nonce before them, and the tag after them.
const OVERHEAD: usize = 5 + 24 + 16;
const TURN: Duration = Duration::from_micros(200);

pub fn run(table: &mut Table, quick: bool) {
    let rounds = if quick { 300 } else { 2000 };
    access_token(table, rounds);
    allocations(table);
    forged_refresh_token(table, rounds);
}

fn now() -> Timestamp {
    mcp_token_lifecycle::Clock::now(&SystemClock)
}

fn access_token(table: &mut Table, rounds: usize) {
    let issuer = TokenIssuer::new(MemoryStore::new(), keyring());
    let token = block_on(issuer.issue(grant(1), None)).unwrap().access_token;
    let here = Resource::parse(AUDIENCE).unwrap();
    let sealed = URL_SAFE_NO_PAD.decode(token.expose().strip_prefix("mcpat_").unwrap()).unwrap().len() - OVERHEAD + 16;

    let (bare, ad) = (Bare::new(&[1; 32]), [2; 11]);
    let mut ciphertext = vec![3; sealed - 16];
    let tag = bare.seal(&[4; 24], &ad, &mut ciphertext);
    let mut buffer = ciphertext.clone();

    let (hs256, eddsa, paseto) = (Jwt::hs256(), Jwt::eddsa(), Paseto::new());
    let mut race = Race::default();
    // The validation of each other crate reads the clock, so this case reads it too.
    race.add("verify", || {
        issuer.verifier().verify(black_box(token.expose()), &Expectation::resource(&here), now()).unwrap()
    });
    race.add("bare", || {
        buffer.copy_from_slice(black_box(&ciphertext));
        bare.open(black_box(&[4; 24]), black_box(&ad), &mut buffer, black_box(&tag));
        buffer[0]
    });
    race.add("hs256", || hs256.verify());
    race.add("eddsa", || eddsa.verify());
    race.add("paseto", || paseto.verify());
    let times = race.run(rounds, TURN);

    table.figure(format!("bare AEAD open of the same {sealed} sealed bytes"), times.shown("bare"));
    let versus_bare = times.ratio("verify", "bare");
    let most = if cfg!(feature = "ring") { Target::None } else { Target::AtMost(1.3) };
    table.ratio("`verify` ÷ bare AEAD open", times.shown("verify"), versus_bare, most);
    // ring has a faster AEAD than the default, so its target against HS256 is higher.
    let fast = cfg!(feature = "ring");
    let hs256 = if fast { 4.5 } else { 1.0 };
    for (case, name, least) in [
        ("jsonwebtoken 12 HS256 ÷ `verify`", "hs256", hs256),
        ("pasetors 0.8 v4.local ÷ `verify`", "paseto", 3.5),
        ("jsonwebtoken 12 EdDSA ÷ `verify`", "eddsa", 18.0),
    ] {
        table.ratio(case, times.shown(name), times.ratio(name, "verify"), Target::AtLeast(least));
    }
}

fn allocations(table: &mut Table) {
    let issuer = TokenIssuer::new(MemoryStore::new(), keyring());
    let token = block_on(issuer.issue(grant(1), None)).unwrap().access_token;
    let (here, elsewhere) = (Resource::parse(AUDIENCE).unwrap(), Resource::parse("https://other.example").unwrap());
    let verify = |token: &str, resource, now| issuer.verifier().verify(token, &Expectation::resource(resource), now);
    verify(token.expose(), &here, now()).unwrap();

    let mut claims = None;
    let info = measure(|| claims = verify(token.expose(), &here, now()).ok());
    // Allocations that still exist belong to the claims. Freed allocations do not.
    let beyond = info.count_total as f64 - info.count_current as f64;
    assert!(claims.is_some());
    let owned = info.count_current as f64;
    table.ratio("allocations in `verify` for its claims", format!("{owned}"), owned, Target::AtMost(3.0));
    table.ratio("allocations in `verify` beyond its claims", format!("{beyond}"), beyond, Target::AtMost(0.0));

    let forged = format!("{}zz{}", &token.expose()[..100], &token.expose()[102..]);
    let never = Timestamp::from_unix(u64::MAX);
    let mut refusals = Vec::with_capacity(4);
    let info = measure(|| {
        refusals.push(verify("mcpat_AAAA", &here, now()).unwrap_err());
        refusals.push(verify(&forged, &here, now()).unwrap_err());
        refusals.push(verify(token.expose(), &here, never).unwrap_err());
        refusals.push(verify(token.expose(), &elsewhere, now()).unwrap_err());
    });
    assert_eq!(refusals, [VerifyError::Invalid, VerifyError::Invalid, VerifyError::Expired, VerifyError::Audience]);
    let case = "allocations in refusing (garbage, forged, expired, audience)";
    table.ratio(case, format!("{}", info.count_total), info.count_total as f64, Target::AtMost(0.0));
}

/// Measures the refusal of a well-formed refresh token with a wrong guard. The store panics on each call, which proves that the
/// refusal does not access it.
fn forged_refresh_token(table: &mut Table, rounds: usize) {
    let issuer = TokenIssuer::new(MemoryStore::new(), keyring());
    let token = block_on(issuer.issue(grant(1), None)).unwrap().refresh_token.expose().to_owned();
    // Change two characters of the generation, which is far before the guard.
    let forged = format!("{}zz{}", &token[..40], &token[42..]);
    let untouchable = TokenIssuer::new(Untouchable, keyring());
    let client = Client::public(CLIENT);

    let bytes = URL_SAFE_NO_PAD.decode(&forged[6..]).unwrap();
    let ready = <Hmac<Sha256> as KeyInit>::new_from_slice(&[1; 32]).unwrap();
    let mut race = Race::default();
    race.add("refuse", || {
        let answer = block_on(untouchable.refresh(&RefreshRequest::new(&client, black_box(&forged)))).unwrap();
        assert!(matches!(answer, Answer::Deny(_)));
    });
    race.add("hmac", || {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(black_box(&[1; 32])).unwrap();
        mac.update(black_box(&bytes));
        mac.finalize().into_bytes()
    });
    race.add("hmac, key ready", || {
        let mut mac = ready.clone();
        mac.update(black_box(&bytes));
        mac.finalize().into_bytes()
    });
    let times = race.run(rounds, TURN);
    let figure = format!("{}, no store access", times.shown("refuse"));
    let case = "forged refresh token ÷ one HMAC of its bytes, key schedule included";
    table.ratio(case, figure.clone(), times.ratio("refuse", "hmac"), Target::AtMost(2.0));
    let case = "the same ÷ one HMAC with the key schedule done before";
    table.ratio(case, figure, times.ratio("refuse", "hmac, key ready"), Target::AtMost(2.0));
}

use untouchable::Untouchable;

mod untouchable {
    use mcp_token_lifecycle::{Commit, Cursor, Page, Record, RecordKey, Select, StoreError, Timestamp, TokenStore};

    pub struct Untouchable;

    impl TokenStore for Untouchable {
        async fn get(&self, _: RecordKey) -> Result<Option<Record>, StoreError> {
            panic!("a forged token must not reach the store")
        }

        async fn commit(&self, _: Record) -> Result<Commit, StoreError> {
            panic!("a forged token must not reach the store")
        }

        async fn list(&self, _: Select, _: Option<Cursor>, _: usize) -> Result<Page, StoreError> {
            panic!("a forged token must not reach the store")
        }

        async fn purge(&self, _: Timestamp, _: usize) -> Result<usize, StoreError> {
            panic!("a forged token must not reach the store")
        }
    }
}
