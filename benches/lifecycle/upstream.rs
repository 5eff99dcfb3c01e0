//! Measures the vault: a lease of a valid token, and the rewrapping of data keys after a key rotation.

use std::cell::Cell;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use futures_executor::block_on;
use hmac::{Hmac, KeyInit, Mac};
use mcp_token_lifecycle::vault::{
    Account, BoundTo, Credential, CredentialVault, LeaseRequest, Runtime, SecretText, TokenSet,
};
use mcp_token_lifecycle::{
    AccessClaims, Clock, Commit, Expectation, KeyId, Keyring, MasterKey, MemoryStore, Record, RecordKey, Resource,
    Scope, Select, SystemClock, TokenIssuer, TokenStore,
};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::aead::Bare;
use crate::fixture::{AUDIENCE, grant, keyring, scattered};
use crate::measure::Race;
use crate::table::{Table, Target};

const SERVICE: &str = "github";
const ALLOWED: &str = "repo read:org";
/// Tokens with the length of GitHub's tokens.
const ACCESS_TOKEN: &str = "gho_0123456789abcdefghijklmnopqrstuvwxyz";
const REFRESH_TOKEN: &str = "ghr_0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyzABCD";
const NONCE: usize = 24;
const TAG: usize = 16;
/// The size of the tag after the sealed content. It authenticates all parts of the record that the store sees.
const RECORD_TAG: usize = 32;

pub fn run(table: &mut Table, quick: bool) {
    lease(table, if quick { 300 } else { 2000 });
    rewrap(table, if quick { 10_000 } else { 100_000 });
}

type Vault = CredentialVault<Arc<MemoryStore>>;

fn vault(store: &Arc<MemoryStore>, keyring: Keyring) -> Vault {
    // The benchmark refreshes no token, so the runtime needs neither a timer nor tasks.
    let runtime = Runtime::new(|_| std::future::ready(()), |_| {});
    CredentialVault::new(store.clone(), keyring, runtime)
}

fn subject(user: usize) -> String {
    grant(user).subject().to_owned()
}

fn put(vault: &Vault, user: usize) {
    let tokens = TokenSet::new(SecretText::new(ACCESS_TOKEN), Scope::parse(ALLOWED).unwrap())
        .expires_at(SystemClock.now().saturating_add(Duration::from_secs(8 * 60 * 60)))
        .refresh_token(SecretText::new(REFRESH_TOKEN));
    let account = Account::new(subject(user), SERVICE);
    block_on(vault.put(&account, Credential::OAuth(tokens), BoundTo::subject())).unwrap();
}

fn records(store: &MemoryStore) -> Vec<Record> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = block_on(store.list(Select::All, after, 10_000)).unwrap();
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}

/// Returns nonce, ciphertext and AEAD tag: the bytes between the header and the record tag. The header has the kind, then the
/// key id and the wrapped key, each with its length.
fn body(payload: &[u8]) -> &[u8] {
    let skip = |bytes: &[u8], at: usize| at + 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let from = skip(payload, skip(payload, 1));
    &payload[from..payload.len() - RECORD_TAG]
}

fn claims(users: usize) -> Vec<AccessClaims> {
    let issuer = TokenIssuer::new(MemoryStore::new(), keyring());
    let here = Resource::parse(AUDIENCE).unwrap();
    let claims = |user| {
        let token = block_on(issuer.issue(grant(user), None)).unwrap().access_token;
        issuer.verifier().verify(token.expose(), &Expectation::resource(&here), SystemClock.now()).unwrap()
    };
    (0..users).map(claims).collect()
}

fn lease(table: &mut Table, rounds: usize) {
    // The records fit into the processor cache, as records in active use do.
    const USERS: usize = 100;
    let store = Arc::default();
    let vault = vault(&store, keyring());
    let users = claims(USERS);
    (0..USERS).for_each(|user| put(&vault, user));
    let need = LeaseRequest::new(SERVICE, Scope::parse(ALLOWED).unwrap());
    let next = Cell::new(0);
    let lease = || {
        next.set(scattered(next.get(), USERS));
        block_on(vault.lease(black_box(&users[next.get()]), &need)).unwrap()
    };
    let info = measure(|| assert_eq!(lease().secret().expose(), ACCESS_TOKEN));

    let primitives = Primitives::new(&store);
    let mut race = Race::default();
    race.add("lease", &lease);
    race.add("get, tag, open, decode", || primitives.all());
    race.add("get, open", || primitives.load().payload.len());
    let times = race.run(rounds, Duration::from_micros(200));
    let case = "a warm `lease` ÷ store get, tag, AEAD open and decoding of the same record";
    let ratio = |base| times.ratio("lease", base);
    table.ratio(case, times.shown("lease"), ratio("get, tag, open, decode"), Target::AtMost(1.3));
    table.ratio("the same ÷ store get and AEAD open alone", times.shown("get, open"), ratio("get, open"), Target::None);
    table.figure("allocations in one `lease`", format!("{}", info.count_total));
}

/// A slot in the encoding of the vault, field by field. The version precedes it.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    count: u64,
    #[serde(borrow)]
    account: Option<(&'a str, &'a str, Option<&'a str>)>,
    current: Option<Live<'a>>,
    /// None is still to be revoked.
    ending: Vec<()>,
}

/// A credential that is leased. The last field is the number of the enum variant.
#[derive(Serialize, Deserialize)]
struct Live<'a> {
    id: [u8; 16],
    generation: u64,
    obtained_at: u64,
    session: Option<[u8; 16]>,
    client_id: Option<&'a str>,
    #[serde(borrow)]
    tokens: Tokens<'a>,
    in_doubt: bool,
    back_off: (u32, u64, u64, Option<u64>),
    phase: u8,
}

#[derive(Serialize, Deserialize)]
struct Tokens<'a> {
    kind: u8,
    access_token: &'a str,
    refresh_token: Option<&'a str>,
    expires_at: Option<u64>,
    refresh_expires_at: Option<u64>,
    scope: &'a str,
}

/// The primitives that one lease needs, on the same number of records of the same size. Each record has its own data key, which
/// is already unwrapped.
struct Primitives {
    store: MemoryStore,
    keys: Vec<(RecordKey, Bare, Hmac<Sha256>)>,
    next: Cell<usize>,
    /// The offset of nonce and ciphertext.
    from: usize,
}

impl Primitives {
    fn new(template: &MemoryStore) -> Self {
        let content = postcard::to_extend(&(3_u8, stored()), Vec::new()).unwrap();
        let (store, mut keys, mut from) = (MemoryStore::new(), Vec::new(), 0);
        // Skip the root record, which has no index keys.
        for mut record in records(template).into_iter().filter(|record| !record.indexes.is_empty()) {
            let sealed = body(&record.payload).len();
            assert_eq!(sealed, NONCE + content.len() + TAG, "the same content");
            from = record.payload.len() - RECORD_TAG - sealed;
            let plaintext = &mut record.payload[from + NONCE..][..content.len()];
            plaintext.copy_from_slice(&content);
            let aead = Bare::new(&[1; 32]);
            let tag = aead.seal(&[0; NONCE], &[0; 17], plaintext);
            record.payload[from..][..NONCE].fill(0);
            record.payload[from + NONCE + content.len()..][..TAG].copy_from_slice(&tag);
            keys.push((record.key, aead, <Hmac<Sha256> as KeyInit>::new_from_slice(&[2; 32]).unwrap()));
            assert_eq!(block_on(store.commit(record)).unwrap(), Commit::Applied);
        }
        Self { store, keys, next: Cell::new(0), from }
    }

    fn get(&self) -> Record {
        self.next.set(scattered(self.next.get(), self.keys.len()));
        block_on(self.store.get(self.keys[self.next.get()].0)).unwrap().unwrap()
    }

    /// Fetches and opens the next record.
    fn load(&self) -> Record {
        let mut record = self.get();
        self.open(&mut record);
        record
    }

    fn open(&self, record: &mut Record) {
        let end = record.payload.len() - RECORD_TAG;
        let (nonce, rest) = record.payload[self.from..end].split_first_chunk_mut().unwrap();
        let (ciphertext, tag) = rest.split_last_chunk_mut().unwrap();
        self.keys[self.next.get()].1.open(nonce, &[0; 17], ciphertext, tag);
    }

    fn all(&self) -> usize {
        let mut record = self.get();
        let mut mac = self.keys[self.next.get()].2.clone();
        // The bytes of key, version, expiry, index count and index keys.
        mac.update(black_box(&[3; 16 + 3 * 8 + 16]));
        mac.update(&record.payload[..record.payload.len() - RECORD_TAG]);
        black_box(mac.finalize().into_bytes());
        self.open(&mut record);
        let end = record.payload.len() - RECORD_TAG - TAG;
        let content: (u8, Stored<'_>) = postcard::from_bytes(&record.payload[self.from + NONCE..end]).unwrap();
        black_box(content.1.current.unwrap().tokens.access_token.len())
    }
}

fn stored() -> Stored<'static> {
    let tokens = Tokens {
        kind: 0,
        access_token: ACCESS_TOKEN,
        refresh_token: Some(REFRESH_TOKEN),
        expires_at: Some(1_800_028_800),
        refresh_expires_at: None,
        scope: ALLOWED,
    };
    let live = Live {
        id: [4; 16],
        generation: 1,
        obtained_at: 1_800_000_000,
        session: None,
        client_id: None,
        tokens,
        in_doubt: false,
        back_off: (0, 0, 0, None),
        phase: 0,
    };
    let account = Some(("auth0|000000000000000000000001", SERVICE, None));
    Stored { count: 1, account, current: Some(live), ending: Vec::new() }
}

/// Measures `rewrap` after a key rotation, and checks that only the wrapped data keys change.
fn rewrap(table: &mut Table, count: usize) {
    let store = Arc::default();
    let before = vault(&store, keyring());
    (0..count).for_each(|user| put(&before, user));
    let sealed: HashMap<_, _> = records(&store).into_iter().map(|it| (it.key, body(&it.payload).to_vec())).collect();
    let rotated = Keyring::new(KeyId::new(20_270_101), MasterKey::from_bytes([8; 32]));
    let rotated = rotated.with_retired(KeyId::new(20_261_121), MasterKey::from_bytes([7; 32])).unwrap();
    let after = vault(&store, rotated);
    let begun = Instant::now();
    let wrapped = block_on(after.rewrap()).unwrap();
    let spent = begun.elapsed();
    // The count includes the root record of the vault.
    assert_eq!(wrapped, count + 1);
    let untouched = records(&store).iter().filter(|it| sealed[&it.key] == body(&it.payload)).count();
    assert!(records(&store).iter().all(|it| it.version == 2));
    table.figure(
        format!("`rewrap` of {count} credentials after a key rotation, time per credential"),
        format!("{:.1} µs", spent.as_secs_f64() * 1e6 / wrapped as f64),
    );
    let case = "records with unchanged nonce and ciphertext ÷ all records";
    table.ratio(case, format!("{untouched}"), untouched as f64 / wrapped as f64, Target::AtLeast(1.0));
}
