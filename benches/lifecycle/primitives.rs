//! The primitives that one refresh needs, on data of the same size. They are the baseline of `refresh`.
//!
//! One round does the following:
//!
//! 1. It reads the clock once and decodes the refresh token.
//! 2. It computes guard and MAC for the presented token and for its successor.
//! 3. It fetches, opens and decodes the record.
//! 4. It draws 52 random bytes, for two nonces and the jitter.
//! 5. It encodes, seals and base64url-encodes the claims, and base64url-encodes the next refresh token.
//! 6. It encodes, seals and commits the record.
//!
//! `refresh` also decides, checks and assembles the response. The ratio shows the cost of that work.

use std::hint::black_box;
use std::time::SystemTime;

use base64::Engine as _;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use futures_executor::block_on;
use hmac::{Hmac, KeyInit, Mac};
use mcp_token_lifecycle::{Commit, MemoryStore, Record, RecordKey, TokenStore};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::aead::Bare;
use crate::fixture::{AUDIENCE, CLIENT, SCOPE, SUBJECT, scattered};

const BODY: usize = 37;
const GUARD: usize = 9;
const MAC: usize = 32;
/// The bytes before the sealed content: version, key id and nonce.
const HEAD: usize = 5 + 24;
const TAG: usize = 16;

/// A family in the encoding of the library, field by field.
#[derive(Serialize, Deserialize)]
struct Family<'a> {
    /// The generation, the secret, and three times of issue with their issuers.
    #[serde(borrow)]
    fixed: &'a [u8],
    created_at: u64,
    times: [u64; 2],
    revoked: Option<(u64, u8)>,
    code: Option<([u8; 32], [u8; 32])>,
    binding: Option<(u8, [u8; 32])>,
    retries: u32,
    confirmed: bool,
    key_id: u32,
    subject: &'a str,
    client_id: &'a str,
    scope: &'a str,
    resources: &'a str,
    claims: Vec<(&'a str, &'a str)>,
}

/// The claims of an access token, with the encoded size of the library.
#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    family: [u8; 16],
    numbers: [[u8; 8]; 3],
    /// The flags and the four text lengths of two bytes each. postcard itself writes the other four bytes before the texts.
    others: [u8; 5],
    binding: Option<(u8, [u8; 32])>,
    #[serde(borrow)]
    texts: [&'a str; 4],
}

pub struct Primitives {
    store: MemoryStore,
    keys: Vec<RecordKey>,
    next: usize,
    aead: Bare,
    mac: Hmac<Sha256>,
    refresh_token: String,
    url_safe: base64::engine::Simd,
}

impl Primitives {
    /// Builds a store with the record count, the record size and the index keys of `template`.
    pub fn new(template: &MemoryStore, keys: Vec<RecordKey>) -> Self {
        let aead = Bare::new(&[1; 32]);
        let store = MemoryStore::new();
        for key in &keys {
            let mut record = block_on(template.get(*key)).unwrap().unwrap();
            record.version = 1;
            record.payload = sealed(&aead, &encoded_family([0; 24]), &[0; 77]);
            assert_eq!(block_on(store.commit(record)).unwrap(), Commit::Applied);
        }
        Self {
            store,
            keys,
            next: 0,
            aead,
            mac: <Hmac<Sha256> as KeyInit>::new_from_slice(&[2; 32]).unwrap(),
            refresh_token: Base64UrlUnpadded::encode_string(&[3; BODY + GUARD + MAC]),
            url_safe: base64::engine::Simd::url_safe(base64::engine::general_purpose::NO_PAD),
        }
    }

    pub fn payload_len() -> usize {
        HEAD + encoded_family([0; 24]).len() + TAG
    }

    pub fn all(&mut self) -> usize {
        black_box(SystemTime::now());
        let mut token = [0; BODY + GUARD + MAC];
        Base64UrlUnpadded::decode(black_box(&self.refresh_token), &mut token).unwrap();
        let _guard = self.tag(6 + BODY);
        let record = self.load();
        let _mac = self.tag(6 + BODY + MAC);
        let mut random = [0; 52];
        getrandom::fill(&mut random).unwrap();
        let access_token = self.access_token(random[..24].try_into().unwrap());
        token[BODY..BODY + GUARD].copy_from_slice(&self.tag(6 + BODY)[..GUARD]);
        token[BODY + GUARD..].copy_from_slice(&self.tag(6 + BODY + MAC));
        let refresh_token = Base64UrlUnpadded::encode_string(&token);
        self.save(record, random[24..48].try_into().unwrap());
        access_token.len() + refresh_token.len()
    }

    fn tag(&self, bytes: usize) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(black_box(&[4; 128][..bytes]));
        mac.finalize().into_bytes().into()
    }

    fn load(&mut self) -> Record {
        self.next = scattered(self.next, self.keys.len());
        let mut record = block_on(self.store.get(self.keys[self.next])).unwrap().unwrap();
        let (nonce, rest) = record.payload[5..].split_first_chunk_mut::<24>().unwrap();
        let (ciphertext, tag) = rest.split_last_chunk_mut::<TAG>().unwrap();
        self.aead.open(nonce, &[0; 77], ciphertext, tag);
        black_box(postcard::from_bytes::<Family<'_>>(ciphertext).unwrap());
        record
    }

    fn access_token(&self, nonce: &[u8; 24]) -> String {
        let claims = Claims {
            family: [5; 16],
            numbers: [1_800_000_000_u64.to_be_bytes(); 3],
            others: [0; 5],
            binding: None,
            texts: [SUBJECT, CLIENT, SCOPE, AUDIENCE],
        };
        // The header also contains the tag of the audience.
        const ACCESS_HEAD: usize = HEAD + 16;
        let mut bytes = [0; 512];
        let length = postcard::to_slice(black_box(&claims), &mut bytes[ACCESS_HEAD..]).unwrap().len();
        let tag = self.aead.seal(nonce, &[0; 27], &mut bytes[ACCESS_HEAD..ACCESS_HEAD + length]);
        bytes[ACCESS_HEAD + length..ACCESS_HEAD + length + TAG].copy_from_slice(&tag);
        self.url_safe.encode(&bytes[..ACCESS_HEAD + length + TAG])
    }

    fn save(&self, mut record: Record, nonce: &[u8; 24]) {
        record.version += 1;
        let family = encoded_family(black_box([9; 24]));
        let (plaintext, tag) = record.payload[HEAD..].split_last_chunk_mut::<TAG>().unwrap();
        plaintext.copy_from_slice(&family);
        *tag = self.aead.seal(nonce, &[0; 77], plaintext);
        record.payload[5..HEAD].copy_from_slice(nonce);
        assert_eq!(block_on(self.store.commit(record)).unwrap(), Commit::Applied);
    }
}

fn encoded_family(varying: [u8; 24]) -> Vec<u8> {
    let mut fixed = [6; 8 + 32 + 3 * 8];
    fixed[8..32].copy_from_slice(&varying);
    let family = Family {
        fixed: &fixed,
        created_at: 1_800_000_000,
        times: [1_800_000_000; 2],
        revoked: None,
        code: None,
        binding: None,
        retries: 0,
        confirmed: false,
        key_id: 20_261_121,
        subject: SUBJECT,
        client_id: CLIENT,
        scope: SCOPE,
        resources: AUDIENCE,
        claims: Vec::new(),
    };
    postcard::to_extend(&family, Vec::with_capacity(512)).unwrap()
}

fn sealed(aead: &Bare, family: &[u8], ad: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; HEAD];
    payload.extend_from_slice(family);
    let tag = aead.seal(&[0; 24], ad, &mut payload[HEAD..]);
    payload.extend_from_slice(&tag);
    payload
}
