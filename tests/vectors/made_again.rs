//! Every vector is made again to the last bit.

use mcp_token_lifecycle::{
    AuthorizeRequest, Client, CodeChallenge, FamilyId, MemoryStore, RefreshRequest, RotationPolicy, Timestamp,
    TokenStore,
};

use crate::support::*;
use crate::vector::{Vector, hex};

/// What the vector says, by what it is drawn for: an id, a secret, or two nonces and no jitter.
struct Drawn {
    family_id: [u8; 16],
    secret: [u8; 32],
    nonce: [u8; 24],
}

impl Fill for Drawn {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Dry> {
        match bytes.len() {
            16 => bytes.copy_from_slice(&self.family_id),
            32 => bytes.copy_from_slice(&self.secret),
            length => bytes.copy_from_slice(&[&self.nonce[..], &self.nonce, &[0; 4]].concat()[..length]),
        }
        Ok(())
    }
}

/// Every lifetime in full, so that another default does not change a vector.
fn lifetimes() -> RotationPolicy {
    policy(|p| {
        p.access_lifetime(seconds(1800))
            .idle_lifetime(seconds(14 * 86_400))
            .absolute_lifetime(seconds(90 * 86_400))
            .code_lifetime(seconds(60))
            .reuse_leeway(seconds(30))
            .retry_limit(Some(3))
    })
}

/// A deployment with the keys and the randomness of `vector`, at the time that it is issued.
pub fn bench_of<S: TokenStore>(vector: &Vector, store: S) -> Bench<S> {
    let mut bench = bench_on(store, vector.keyring(), lifetimes());
    bench.clock.set(Timestamp::from_unix(vector.number("issued_at")));
    let (family_id, secret) = (vector.bytes("family_id"), vector.bytes("family_secret"));
    bench.issuer = bench.issuer.with_rng(FillRng(Drawn { family_id, secret, nonce: vector.bytes("nonce") }));
    bench
}

/// Everything that is made of what `vector` gives, by the names of the files.
fn make(vector: &Vector) -> Vec<(String, String)> {
    let bench = bench_of(vector, FlakyStore::new(MemoryStore::new()));
    let mut made = Vec::new();
    let mut put = |name: &str, value: String| made.push((name.to_owned(), value));

    let with_code = bench_of(vector, FlakyStore::new(MemoryStore::new()));
    let challenge = CodeChallenge::of_verifier(vector.get("code_verifier").unwrap_or(VERIFIER));
    let redirect_uri = vector.get("redirect_uri").unwrap_or(REDIRECT);
    let code = with_code.issuer.authorize(AuthorizeRequest::new(vector.grant(), challenge, redirect_uri));
    put("authorization_code", block_on(code).unwrap().expose().to_owned());

    let tokens = block_on(bench.issuer.issue(vector.grant(), vector.binding())).unwrap();
    put("refresh_token", rt(&tokens).to_owned());
    put("access_token", tokens.access_token.expose().to_owned());
    let client = Client::public(vector.grant().client_id());
    for again in ["rotated_at", "retried_at"].iter().filter(|at| vector.get(at).is_some()) {
        bench.clock.set(Timestamp::from_unix(vector.number(again)));
        let request = RefreshRequest::new(&client, rt(&tokens));
        bench.ask(vector.binding().map_or(request.clone(), |binding| request.binding(binding))).unwrap();
    }
    if vector.get("revoked_at").is_some() {
        bench.clock.set(Timestamp::from_unix(vector.number("revoked_at")));
        let id = FamilyId::from_bytes(vector.bytes("family_id"));
        assert!(block_on(bench.issuer.revoke_family(vector.grant().subject(), id)).unwrap());
    }

    let store = if vector.get("code_verifier").is_some() { with_code.issuer.store() } else { bench.issuer.store() };
    let record = store.journal().pop().unwrap();
    put("record_key", hex(record.key.as_bytes()));
    put("record_version", record.version.to_string());
    put("record_expires_at", record.expires_at.as_unix().to_string());
    record.indexes.iter().for_each(|index| put("record_index", hex(index.as_bytes())));
    put("record_payload", hex(&record.payload));
    let access_keys = vector.keyring().access_keys();
    access_keys.export().lines().for_each(|line| put("access_key", line.to_owned()));
    let own = access_keys.for_resource(&vector.grant().resources()[0]);
    own.export().lines().for_each(|line| put("resource_key", line.to_owned()));
    made
}

fn is_made_again(name: &str) {
    let vector = Vector::read(name);
    let mut made = make(&vector);
    made.retain(|(name, _)| vector.expected.iter().any(|expected| expected.0 == *name));
    assert!(!made.is_empty());
    assert_eq!(made, vector.expected, "the format of {name} has changed");
}

macro_rules! every_vector_is_made_again {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                is_made_again(stringify!($name));
            }
        )+

        /// A file that no test reads would vouch for nothing.
        #[test]
        fn and_there_is_no_other() {
            let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")).unwrap();
            let files = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = files.filter_map(|file| file.strip_suffix(".txt").map(str::to_owned)).collect();
            names.sort();
            assert_eq!(names, [$(stringify!($name)),+]);
        }
    };
}

every_vector_is_made_again! {
    access_token access_token_bound authorization_code index_keys keyring
    record_code record_issued record_revoked record_rotated refresh_token
}
