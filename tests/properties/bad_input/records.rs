//! A store that gives back something else than it was given.

use mcp_token_lifecycle::{
    AuthorizeRequest, CodeChallenge, Commit, Cursor, Error, ErrorKind, Expectation, FamilyId, IndexKey, MemoryStore,
    Page, Record, RecordKey, RedeemRequest, RefreshRequest, RotationPolicy, Select, StoreError, Timestamp, TokenStore,
};

use crate::altered;
use crate::support::*;

/// It has this record for every key, and it takes no write.
struct Sole(Record);

impl TokenStore for Sole {
    async fn get(&self, _: RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(Some(self.0.clone()))
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        panic!("{record:?} was written in the place of what does not open")
    }

    async fn list(&self, _: Select, _: Option<Cursor>, _: usize) -> Result<Page, StoreError> {
        Ok(Page::new(vec![self.0.clone()], None))
    }

    async fn purge(&self, _: Timestamp, _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }
}

/// A family with all its tokens, and the record it has.
struct Family {
    bench: Bench<FlakyStore<MemoryStore>>,
    id: FamilyId,
    code: String,
    refresh_token: String,
    access_token: String,
}

impl Family {
    fn new() -> Self {
        let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
        let request = AuthorizeRequest::new(grant(), CodeChallenge::of_verifier(VERIFIER), REDIRECT);
        let code = block_on(bench.issuer.authorize(request)).unwrap().expose().to_owned();
        let tokens = bench.redeem(&code).unwrap();
        let (id, refresh_token) = (bench.family(&tokens), rt(&tokens).to_owned());
        Self { bench, id, code, refresh_token, access_token: tokens.access_token.expose().to_owned() }
    }

    fn record(&self) -> Record {
        self.bench.issuer.store().journal().pop().unwrap()
    }

    /// With `record` in the place of its own, everything that looks it up by its key is a fault of the server, and nothing is
    /// granted, written or listed.
    fn is_at_fault_with(&self, record: Record) {
        let what = format!("{record:?}");
        let bench = self.bench.twin(Sole(record), keyring(), RotationPolicy::standard());
        let (issuer, client, here) = (&bench.issuer, client(), resource());
        let (code, expect) =
            (RedeemRequest::new(&client, &self.code, REDIRECT, VERIFIER), Expectation::resource(&here));
        let faults: [Option<Error>; 7] = [
            block_on(issuer.refresh(&RefreshRequest::new(&client, &self.refresh_token))).err(),
            block_on(issuer.redeem(&code)).err(),
            block_on(issuer.verify_live(&self.access_token, &expect)).err().and_then(|error| error.refusal().err()),
            block_on(issuer.introspect(&self.access_token)).err(),
            block_on(issuer.introspect(&self.refresh_token)).err(),
            block_on(issuer.revoke(&client, &self.access_token, None)).err(),
            block_on(issuer.revoke_family("user-1", self.id)).err(),
        ];
        for (at, fault) in faults.into_iter().enumerate() {
            let kind = fault.map(|fault| fault.kind());
            assert!(
                matches!(kind, Some(ErrorKind::CorruptRecord | ErrorKind::UnknownKey(_))),
                "{at}: {kind:?}, {what}"
            );
        }
    }

    /// Nor is anything listed, revoked or moved to another key that the seal does not vouch for.
    fn is_not_listed_with(&self, record: Record) {
        let what = format!("{record:?}");
        let issuer = self.bench.twin(Sole(record), keyring(), RotationPolicy::standard()).issuer;
        assert!(!block_on(issuer.list_families("user-1")).is_ok_and(|listed| !listed.is_empty()), "{what}");
        assert!(!block_on(issuer.revoke_subject("user-1")).is_ok_and(|count| count > 0), "{what}");
        assert!(!block_on(issuer.rekey()).is_ok_and(|count| count > 0), "{what}");
    }
}

/// Every bit of every part of `record`; parts left out, added, cut off and exchanged.
fn altered_records(record: &Record) -> Vec<Record> {
    let mut altered = Vec::new();
    let mut alter = |change: &dyn Fn(&mut Record)| {
        let mut changed = record.clone();
        change(&mut changed);
        altered.push(changed);
    };
    for bit in 0..64 {
        alter(&|record| record.version ^= 1 << bit);
        alter(&|record| record.expires_at = Timestamp::from_unix(record.expires_at.as_unix() ^ (1 << bit)));
    }
    for key in altered::bits(record.key.as_bytes()) {
        alter(&|record| record.key = RecordKey::from_bytes(key.clone().try_into().unwrap()));
    }
    for (at, index) in record.indexes.iter().enumerate() {
        for index in altered::bits(index.as_bytes()) {
            alter(&|record| record.indexes[at] = IndexKey::from_bytes(index.clone().try_into().unwrap()));
        }
        alter(&|record| {
            record.indexes.remove(at);
        });
        alter(&|record| record.indexes.push(*index));
    }
    alter(&|record| record.indexes.reverse());
    for payload in altered::bits(&record.payload) {
        alter(&|record| record.payload = payload.clone());
    }
    for at in 0..record.payload.len() {
        alter(&|record| record.payload.truncate(at));
        alter(&|record| drop(record.payload.drain(..=at)));
        alter(&|record| record.payload.insert(at, 0));
    }
    alter(&|record| record.payload.push(0));
    altered
}

#[test]
fn record_with_any_bit_flipped_is_a_fault_and_never_a_grant() {
    let family = Family::new();
    for record in altered_records(&family.record()) {
        family.is_at_fault_with(record.clone());
        family.is_not_listed_with(record);
    }
}

#[test]
fn record_of_another_family_is_a_fault_though_intact() {
    let (family, other) = (Family::new(), Family::new());
    family.is_at_fault_with(other.record());
}

#[test]
fn record_left_unaltered_is_no_fault() {
    let family = Family::new();
    let bench = family.bench.twin(Sole(family.record()), keyring(), RotationPolicy::standard());
    assert!(bench.introspect(&family.refresh_token).is_active());
    assert!(bench.introspect(&family.access_token).is_active());
}
