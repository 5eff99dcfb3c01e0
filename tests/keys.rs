//! Keys: where they come from, how one follows the other, and what is left when one is gone.

mod support;

use std::sync::Arc;

use mcp_token_lifecycle::{
    AccessKeys, AccessVerifier, Action, Clock, Commit, ErrorCode, ErrorKind, Expectation, KeyId, Keyring, KeyringError,
    MasterKey, MemoryStore, Reason, Record, RotationPolicy, Select, TokenStore, VerifyError,
};
use support::forge::{TestRng, key_id_of, tampered};
use support::*;

fn line(id: u32, byte: u8) -> String {
    format!("{id}:{}", MasterKey::from_bytes([byte; 32]).to_base64().as_str())
}

fn key(byte: u8) -> MasterKey {
    MasterKey::from_bytes([byte; 32])
}

/// Key 2 in front, key 1 retired.
fn rotated_keyring() -> Keyring {
    Keyring::new(KeyId::new(2), key(8)).with_retired(KeyId::new(1), key(7)).unwrap()
}

fn new_keyring() -> Keyring {
    Keyring::new(KeyId::new(2), key(8))
}

#[test]
fn keyring_parse_takes_separators_comments_and_primary_first() {
    let text = format!("# keys\n\n {} , {}\n{} # the oldest\n", line(3, 3), line(2, 2), line(1, 7));
    let keyring = Keyring::parse(&text).unwrap();
    assert_eq!(keyring.primary_id(), KeyId::new(3));
    let old = bench(RotationPolicy::standard());
    let first = old.login();
    let store = Arc::new(MemoryStore::new());
    assert!(
        old.twin(store, keyring, RotationPolicy::standard())
            .issuer
            .verifier()
            .verify(first.access_token.expose(), &Expectation::resource(&resource()), old.clock.now())
            .is_ok(),
        "key 1 is among the retired"
    );
}

#[test]
fn keyring_parse_refuses_a_text_without_a_key() {
    for text in ["", " \n", "# nothing", ",,"] {
        assert!(matches!(Keyring::parse(text), Err(KeyringError::NoKey)), "{text:?}");
        assert!(matches!(AccessKeys::parse(text), Err(KeyringError::NoKey)), "{text:?}");
    }
}

#[test]
fn keyring_parse_names_a_malformed_entry_by_its_number_alone() {
    let good = line(1, 1);
    for bad in ["no colon", "x:AAAA", "-1:AAAA", "4294967296:AAAA", "2:not base64!", "two"] {
        let error = Keyring::parse(&format!("{good}\n{bad}")).unwrap_err();
        assert!(matches!(error, KeyringError::Malformed { entry: 2 }), "{bad}: {error:?}");
        assert!(!error.to_string().contains(bad));
    }
}

#[test]
fn master_key_of_another_length_than_32_bytes_is_refused() {
    use base64ct::{Base64, Encoding};
    for length in [0, 16, 31, 33, 64] {
        let text = format!("1:{}", Base64::encode_string(&vec![9; length]));
        assert!(
            matches!(Keyring::parse(&text), Err(KeyringError::Length { key: Some(id), found }) if (id.get(), found) == (1, length))
        );
        assert!(matches!(MasterKey::from_slice(&vec![9; length]), Err(KeyringError::Length { .. })));
    }
}

#[test]
fn keyring_refuses_a_duplicate_id_or_key() {
    let twice = |first, second| Keyring::parse(&format!("{first}\n{second}")).unwrap_err();
    assert!(matches!(twice(line(1, 1), line(1, 2)), KeyringError::DuplicateId(id) if id == KeyId::new(1)));
    let same = twice(line(1, 1), line(2, 1));
    assert!(matches!(same, KeyringError::DuplicateKey(a, b) if (a, b) == (KeyId::new(1), KeyId::new(2))));
    let text = format!("{}\n{}", line(1, 1), line(2, 1));
    assert!(matches!(AccessKeys::parse(&text), Err(KeyringError::DuplicateKey(..))));
    let retired = Keyring::new(KeyId::new(1), key(1)).with_retired(KeyId::new(1), key(2));
    assert!(matches!(retired, Err(KeyringError::DuplicateId(_))));
}

#[cfg(unix)]
#[test]
fn keyring_from_file_refuses_a_file_open_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, line(5, 5)).unwrap();
    let with_mode = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Keyring::from_file(&path)
    };
    for open in [0o644, 0o640, 0o604, 0o620, 0o602, 0o666] {
        let error = with_mode(open).unwrap_err();
        assert_eq!(error.to_string(), format!("key file {} must have mode 600 or 400, has {open:o}", path.display()));
    }
    for closed in [0o600, 0o400] {
        assert_eq!(with_mode(closed).unwrap().primary_id(), KeyId::new(5), "{closed:o}");
    }
    let missing = Keyring::from_file(folder.path().join("missing")).unwrap_err();
    assert_eq!(missing.to_string(), format!("key file {} could not be read", folder.path().join("missing").display()));
    let folder_itself = Keyring::from_file(folder.path()).unwrap_err().to_string();
    assert!(folder_itself.starts_with(&format!("key file {} ", folder.path().display())), "{folder_itself}");
}

#[cfg(unix)]
#[test]
fn keyring_from_file_names_the_file_with_its_bad_entry() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    for (text, expected) in [
        (String::new(), "a keyring must have at least one key, got none"),
        (
            format!("{}\nsecret", line(1, 1)),
            "entry 2 must be an id up to 4294967295, a colon and Base64; it is not shown, since it may be a key",
        ),
        ("7:AAAA".into(), "key 7 must have 32 bytes, got 3"),
        (format!("{0}\n{0}", line(1, 1)), "key id 1 must be unique, got it twice"),
        (format!("{}\n{}", line(1, 1), line(2, 1)), "keys 1 and 2 must differ, got the same bytes"),
    ] {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let error = Keyring::from_file(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("key file {}: {expected}", path.display()));
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[test]
fn keyring_from_env_reads_an_environment_variable() {
    const NAME: &str = "MCP_TOKEN_LIFECYCLE_TEST_KEYS";
    if std::env::var(NAME).is_ok() {
        assert_eq!(Keyring::from_env(NAME).unwrap().primary_id(), KeyId::new(6));
        let error = Keyring::from_env("PATH").unwrap_err().to_string();
        assert!(error.starts_with("environment variable PATH: entry 1 must be "), "{error}");
        return;
    }
    assert!(matches!(Keyring::from_env(NAME), Err(KeyringError::NoVariable(name)) if name == NAME));
    // The variable is set for a process of its own: this test once more.
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "keyring_from_env_reads_an_environment_variable"])
        .env(NAME, line(6, 6))
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

/// spec: OAuth 2.1 §4.3 b
/// spec: OAuth 2.1 §7.1.1 b
#[test]
fn debug_output_shows_no_key_and_no_token() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let keys = bench.issuer.verifier();
    let shown = format!("{:?} {:?} {:?} {:?} {:?}", key(7), keyring(), bench.issuer, keys, first);
    assert!(!shown.contains(rt(&first)) && !shown.contains(first.access_token.expose()), "{shown}");
    assert!(!shown.contains("[7,") && !shown.contains(" 7, 7"), "{shown}");
    assert!(shown.contains("MasterKey(..)") && shown.contains("RefreshToken(..)") && shown.contains("KeyId(1)"));
}

fn records(store: &impl TokenStore) -> Vec<Record> {
    block_on(store.list(Select::All, None, 100)).unwrap().records
}

#[test]
fn rekey_moves_records_and_indexes_to_the_primary_key() {
    let store = Arc::new(MemoryStore::new());
    let old = bench_on(Arc::clone(&store), keyring(), RotationPolicy::standard());
    let (idle, revoked) = (old.login(), old.login());
    old.revoke(&client(), rt(&revoked));
    let before = records(&*store);
    let new = old.twin(Arc::clone(&store), rotated_keyring(), RotationPolicy::standard());
    let moved = new.refresh(rt(&new.login())).unwrap();
    new.audit.take();
    assert_eq!(block_on(new.issuer.rekey()).unwrap(), 2);
    assert!(matches!(new.audit.take()[..], [ref event] if matches!(event.action, Action::Rekey { count: 2, .. })));
    assert_eq!(block_on(new.issuer.rekey()).unwrap(), 0);
    for old in &before {
        let now = block_on(store.get(old.key)).unwrap().unwrap();
        assert_eq!(now.expires_at, old.expires_at);
        assert_eq!(now.version, old.version + 1);
        assert_eq!((&old.payload[1..5], &now.payload[1..5]), (&[0, 0, 0, 1][..], &[0, 0, 0, 2][..]));
        assert!(now.indexes.iter().all(|index| !old.indexes.contains(index)));
        for index in &old.indexes {
            assert_eq!(block_on(store.list(Select::Index(*index), None, 10)).unwrap().records, []);
        }
    }
    // The old key is dropped: what was moved is found and read without it.
    let last = new.twin(Arc::clone(&store), new_keyring(), RotationPolicy::standard());
    let families = block_on(last.issuer.list_families("user-1")).unwrap();
    assert_eq!(families.len(), 2);
    assert!(!last.refresh(rt(&moved)).unwrap().retry);
    last.audit.take();
    assert_eq!(last.refresh(rt(&idle)).unwrap_err(), ErrorCode::InvalidGrant, "a token of the dropped key is no more");
    assert_eq!(last.told(), [("deny", Some(Reason::Malformed))]);
    assert_eq!(block_on(last.issuer.revoke_subject("user-1")).unwrap(), 2);
}

#[test]
fn families_of_a_subject_are_found_under_every_key() {
    let store = Arc::new(MemoryStore::new());
    let old = bench_on(Arc::clone(&store), keyring(), RotationPolicy::standard());
    let new = old.twin(Arc::clone(&store), rotated_keyring(), RotationPolicy::standard());
    let (one, two) = (old.login(), new.login());
    assert_eq!(block_on(new.issuer.list_families("user-1")).unwrap().len(), 2);
    assert_eq!(block_on(new.issuer.revoke_subject("user-1")).unwrap(), 2);
    assert_eq!(new.live(&one), Err(VerifyError::Revoked));
    assert_eq!(new.live(&two), Err(VerifyError::Revoked));
}

#[test]
fn dropped_key_leaves_what_it_sealed_unreadable() {
    let journal = FlakyStore::new(MemoryStore::new());
    let old = bench_on(journal, keyring(), RotationPolicy::standard());
    let first = old.begin(grant());
    let leftovers = Arc::new(old.issuer.store().backup(1));
    let new = old.twin(Arc::new(old.issuer.store().backup(1)), rotated_keyring(), RotationPolicy::standard());
    let second = new.refresh(rt(&first)).unwrap();
    assert_eq!(key_id_of(rt(&second)), 2);

    // The record as it was before, in a free page or in a backup, and no server with the old key.
    let shredded = old.twin(Arc::clone(&leftovers), new_keyring(), RotationPolicy::standard());
    assert_eq!(shredded.attempt(rt(&second)).unwrap_err(), ErrorKind::UnknownKey(KeyId::new(1)));
    assert_eq!(block_on(shredded.issuer.rekey()).unwrap_err().kind(), ErrorKind::UnknownKey(KeyId::new(1)));
    assert!(block_on(shredded.issuer.list_families("user-1")).unwrap().is_empty(), "nor can its owner be found");

    // With the old key in the keyring the very same bytes are readable.
    let kept = old.twin(leftovers, rotated_keyring(), RotationPolicy::standard());
    assert_eq!(block_on(kept.issuer.list_families("user-1")).unwrap().len(), 1);
}

/// spec: MCP authorization §Security: Token Theft a
/// spec: OAuth 2.1 §4.3 b
#[test]
fn record_shows_nothing_of_its_subject_client_or_scope() {
    let bench = bench(RotationPolicy::standard());
    bench.login();
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for record in records(bench.issuer.store()) {
        for word in ["user-1", "client-1", "mcp:read", "mcp.example.com"] {
            assert!(!shown(&record.payload).contains(word));
        }
    }
    let (one, two) = (bench.begin(grant()), bench.begin(grant()));
    let of = |token: &_| {
        let key = bench.family(token).record_key();
        block_on(bench.issuer.store().get(key)).unwrap().unwrap()
    };
    assert_eq!(of(&one).indexes, of(&two).indexes, "the same owner");
    assert_ne!(of(&one).payload, of(&two).payload);
    let other = bench.begin(grant_of("client-1", "user-1"));
    assert!(of(&other).indexes.iter().all(|index| !of(&one).indexes.contains(index)), "a subject is not a client");
}

/// What a refresh meets when the one record of the store is replaced by what `alter` makes of it.
fn refresh_after(alter: impl Fn(&mut Record)) -> Option<ErrorKind> {
    let bench = bench(RotationPolicy::standard());
    let first = bench.begin(grant());
    let mut record = records(bench.issuer.store()).remove(0);
    alter(&mut record);
    let store = MemoryStore::new();
    assert_eq!(block_on(store.commit(record)).unwrap(), Commit::Applied);
    bench.twin(store, keyring(), RotationPolicy::standard()).attempt(rt(&first)).err()
}

/// spec: MCP authorization §Security: Token Theft a
#[test]
fn record_that_was_altered_does_not_open() {
    assert_eq!(refresh_after(|_| ()), None);
    let corrupt = Some(ErrorKind::CorruptRecord);
    assert_eq!(refresh_after(|record| record.expires_at = record.expires_at.saturating_add(seconds(1))), corrupt);
    assert_eq!(refresh_after(|record| record.indexes.reverse()), corrupt);
    assert_eq!(refresh_after(|record| record.indexes.clear()), corrupt);
    assert_eq!(refresh_after(|record| record.payload.truncate(20)), corrupt);
    assert_eq!(refresh_after(|record| record.payload.clear()), corrupt);
    for at in [0, 5, 40, 100] {
        assert_eq!(refresh_after(|record| record.payload[at] ^= 1), corrupt, "byte {at}");
    }
    assert_eq!(refresh_after(|record| record.payload[4] ^= 2), Some(ErrorKind::UnknownKey(KeyId::new(3))));
}

#[test]
fn record_under_another_version_or_record_key_does_not_open() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let first = bench.begin(grant());
    let second = bench.refresh(rt(&first)).unwrap();
    let other = bench.begin(grant());
    let journal = bench.issuer.store().journal();
    let with = |records: Vec<Record>| {
        let store = MemoryStore::new();
        records.into_iter().for_each(|record| assert_eq!(block_on(store.commit(record)).unwrap(), Commit::Applied));
        bench.twin(store, keyring(), RotationPolicy::standard())
    };
    let moved = |alter: fn(&mut Record, &Record)| {
        let mut record = journal[0].clone();
        alter(&mut record, &journal[2]);
        record
    };
    let rolled_back = moved(|record, _| record.version = 2);
    let bench = with(vec![journal[0].clone(), rolled_back]);
    assert_eq!(bench.attempt(rt(&first)).unwrap_err(), ErrorKind::CorruptRecord);
    assert_eq!(bench.attempt(rt(&second)).unwrap_err(), ErrorKind::CorruptRecord);
    let swapped = moved(|record, other| record.key = other.key);
    let bench = with(vec![swapped]);
    assert_eq!(bench.attempt(rt(&other)).unwrap_err(), ErrorKind::CorruptRecord);
}

/// spec: OAuth 2.1 §7.1.1 b
#[test]
fn access_keys_export_verifies_access_tokens_and_no_more() {
    let store = Arc::new(MemoryStore::new());
    let old = bench_on(Arc::clone(&store), keyring(), RotationPolicy::standard());
    let first = old.login();
    let new = old.twin(Arc::clone(&store), rotated_keyring(), RotationPolicy::standard());
    let second = new.refresh(rt(&first)).unwrap();
    let exported = rotated_keyring().access_keys().export();
    assert!(!exported.contains(key(8).to_base64().as_str()), "not the master key");

    let verifier = AccessVerifier::new(AccessKeys::parse(&exported).unwrap());
    let here = resource();
    for token in [&first, &second] {
        let claims = verifier.verify(token.access_token.expose(), &Expectation::resource(&here), old.clock.now());
        assert_eq!(claims.unwrap().subject(), "user-1");
    }
    let stranger = AccessVerifier::new(AccessKeys::parse(&line(2, 9)).unwrap());
    let refused = stranger.verify(second.access_token.expose(), &Expectation::resource(&here), old.clock.now());
    assert_eq!(refused, Err(VerifyError::Invalid));

    // Taken for master keys they lead to other subkeys: no refresh token passes, no record is found or opened.
    let misused = old.twin(store, Keyring::parse(&exported).unwrap(), RotationPolicy::standard());
    assert_eq!(misused.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(block_on(misused.issuer.rekey()).unwrap(), 0, "they look like the primary key");
    assert!(block_on(misused.issuer.list_families("user-1")).unwrap().is_empty());
    let family = new.family(&second);
    assert_eq!(block_on(misused.issuer.revoke_family("user-1", family)).unwrap_err().kind(), ErrorKind::CorruptRecord);
}

/// spec: OAuth 2.1 §7.1.1 a
/// spec: RFC 6750 §5.2 a
#[test]
fn access_token_with_any_byte_altered_is_invalid() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let token = first.access_token.expose();
    let here = resource();
    let verify =
        |token: &str| bench.issuer.verifier().verify(token, &Expectation::resource(&here), bench.clock.now()).map(drop);
    assert_eq!(verify(token), Ok(()));
    for at in 0..support::forge::bytes_of(token).len() {
        assert_eq!(verify(&tampered(token, at)), Err(VerifyError::Invalid), "byte {at}");
    }
    for wrong in [&token[6..], &token[..token.len() - 1], &token.replacen("mcpat_", "mcprt_", 1), rt(&first), "mcpat_"]
    {
        assert_eq!(verify(wrong), Err(VerifyError::Invalid));
    }
}

#[test]
fn issue_with_repeated_randomness_fails_and_overwrites_nothing() {
    struct Stuck;
    impl Fill for Stuck {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), Dry> {
            bytes.fill(4);
            Ok(())
        }
    }
    let mut bench = bench(RotationPolicy::standard());
    bench.issuer = bench.issuer.with_rng(FillRng(Stuck));
    let first = bench.begin(grant());
    let error = block_on(bench.issuer.issue(grant_of("user-2", "client-1"), None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Entropy);
    assert_eq!(bench.live(&first).unwrap().subject(), "user-1");
    assert_eq!(bench.issuer.store().len(), 1);
}

/// spec: OAuth 2.1 §7.7
#[test]
fn issue_without_randomness_begins_no_family() {
    let entropy = TestRng::default();
    let mut bench = bench(RotationPolicy::standard());
    bench.issuer = bench.issuer.with_rng(FillRng(entropy.clone()));
    entropy.run_dry(true);
    assert_eq!(block_on(bench.issuer.issue(grant(), None)).unwrap_err().kind(), ErrorKind::Entropy);
    assert!(bench.issuer.store().is_empty());
}
