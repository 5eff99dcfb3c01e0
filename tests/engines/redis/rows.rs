//! What is on the server: how much, how long, and nothing that it should not know.

use std::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use mcp_token_lifecycle::{
    Commit, IndexKey, Record, RecordKey, RedisStore, RefreshRequest, RotationPolicy, Select, StoreError, Timestamp,
    TokenStore,
};
use redis::Value;

use crate::cut::Proxy;
use crate::servers::{Server, connected, until};
use crate::support::*;

async fn open(server: &Server) -> RedisStore {
    server.store("mcp-tokens").await
}

fn record(version: u64, indexes: &[u8]) -> Record {
    let indexes = indexes.iter().map(|n| IndexKey::from_bytes([*n; 16])).collect();
    let expires_at = Timestamp::from_unix(START + 1000);
    Record::new(RecordKey::from_bytes([7; 16]), version, expires_at, indexes, b"sealed".to_vec())
}

fn names(server: &Server) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut server.connection()).unwrap();
    names.sort();
    names
}

/// The bytes that the server counts for all its keys.
fn memory(server: &Server) -> usize {
    let usage = |name| redis::cmd("MEMORY").arg("USAGE").arg(name).query::<usize>(&mut server.connection()).unwrap();
    names(server).iter().map(usage).sum()
}

async fn rotate<S: TokenStore>(bench: &Bench<S>, token: &mut String, times: usize) {
    for _ in 0..times {
        let answer = bench.issuer.refresh(&RefreshRequest::new(&client(), token)).await.unwrap();
        *token = rt(&answer.into_result().unwrap()).to_owned();
    }
}

#[tokio::test]
async fn family_memory_is_constant_over_rotations() {
    let server = Server::start(&[]);
    let bench = bench_on(open(&server).await, keyring(), RotationPolicy::strict());
    let mut token = rt(&bench.issuer.issue(grant(), None).await.unwrap()).to_owned();
    rotate(&bench, &mut token, 1).await;
    let (one, keys) = (memory(&server), names(&server));
    rotate(&bench, &mut token, 999).await;
    let thousand = memory(&server);
    // And while its expiry moves, and its index entries with it.
    for _ in 0..20 {
        bench.pass(24 * 60 * 60);
        rotate(&bench, &mut token, 1).await;
    }
    let moved = memory(&server);
    println!("bytes of a family: {one} after 1 rotation, {thousand} after 1,000, {moved} after 20 days more");
    assert_eq!([thousand, moved], [one, one]);
    assert_eq!(names(&server), keys);
}

#[tokio::test]
async fn rotation_is_one_evalsha() {
    let server = Server::start(&[]);
    let bench = bench_on(open(&server).await, keyring(), RotationPolicy::strict());
    let mut token = rt(&bench.issuer.issue(grant(), None).await.unwrap()).to_owned();
    server.tell("CONFIG RESETSTAT");
    rotate(&bench, &mut token, 100).await;
    assert!(server.info("cmdstat_evalsha").starts_with("calls=100,"), "{}", server.info("cmdstat_evalsha"));
}

#[tokio::test]
async fn commit_reloads_scripts_after_script_flush() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    assert_eq!(store.commit(record(1, &[1])).await.unwrap(), Commit::Applied);
    server.tell("SCRIPT FLUSH");
    assert_eq!(store.commit(record(2, &[2])).await.unwrap(), Commit::Applied);
}

#[tokio::test]
async fn everything_ends_by_itself_a_day_after_it_expired() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    assert_eq!(store.commit(record(1, &[1, 2])).await.unwrap(), Commit::Applied);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let ends = names(&server).into_iter().filter_map(|name| {
        let left: i64 = redis::cmd("PTTL").arg(&name).query(&mut server.connection()).unwrap();
        (left >= 0).then_some(left + now)
    });
    let ends: Vec<i64> = ends.collect();
    let expected = (START + 1000 + 24 * 60 * 60) as i64 * 1000;
    assert_eq!(ends.len(), 3, "the record and two index keys");
    assert!(ends.iter().all(|end| (end - expected).abs() < 60_000), "{ends:?} and not {expected}");
}

/// What the server's own expiry leaves behind goes with the records that come after.
#[tokio::test]
async fn commit_cleans_shard_sets_of_records_ended_by_expiry() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    // In one shard, expired already, and removed as the server would do it.
    let number = |n: u8| {
        let mut key = [9; 16];
        key[15] = n;
        Record::new(RecordKey::from_bytes(key), 1, Timestamp::from_unix(5), vec![], vec![])
    };
    for n in 0..50 {
        assert_eq!(store.commit(number(n)).await.unwrap(), Commit::Applied);
    }
    let records: Vec<_> = names(&server).into_iter().filter(|name| name.windows(3).any(|w| w == b":r:")).collect();
    let _: usize = redis::cmd("DEL").arg(records).query(&mut server.connection()).unwrap();
    for n in 100..130 {
        assert_eq!(store.commit(number(n)).await.unwrap(), Commit::Applied);
    }
    let sets = names(&server).into_iter().filter(|name| name.ends_with(b":k") || name.ends_with(b":e"));
    let sizes: Vec<usize> =
        sets.map(|set| redis::cmd("ZCARD").arg(set).query(&mut server.connection()).unwrap()).collect();
    assert_eq!(sizes, [30, 30]);
    assert_eq!(store.purge(Timestamp::from_unix(5), 100).await.unwrap(), 30);
}

#[tokio::test]
async fn purge_leaves_nothing_of_expired_families() {
    let server = Server::start(&[]);
    let bench = bench_on(open(&server).await, keyring(), RotationPolicy::standard());
    for _ in 0..300 {
        let mut token = rt(&bench.issuer.issue(grant(), None).await.unwrap()).to_owned();
        rotate(&bench, &mut token, 1).await;
    }
    bench.pass(400 * 24 * 60 * 60);
    let living = bench.issuer.issue(grant(), None).await.unwrap();
    assert_eq!(bench.issuer.purge().await.unwrap(), 300);
    assert_eq!(names(&server).len(), 5, "a record, the two sets of its shard, and its two index keys");
    for name in names(&server).into_iter().filter(|name| name.windows(3).any(|w| w == b":i:")) {
        let count: usize = redis::cmd("ZCARD").arg(name).query(&mut server.connection()).unwrap();
        assert_eq!(count, 1);
    }
    bench.issuer.refresh(&RefreshRequest::new(&client(), rt(&living))).await.unwrap().into_result().unwrap();
}

/// As a credential that is put again long after it was revoked: its key is always the same.
#[tokio::test]
async fn purge_spares_record_put_again_after_expiry() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    let record = |expires_at| Record::new(RecordKey::from_bytes([9; 16]), 1, expires_at, vec![], vec![]);
    let (past, future) = (Timestamp::from_unix(5), Timestamp::from_unix(START + 1000));
    assert_eq!(store.commit(record(past)).await.unwrap(), Commit::Applied);
    let name = names(&server).into_iter().find(|name| name.windows(3).any(|w| w == b":r:"));
    let _: usize = redis::cmd("DEL").arg(name).query(&mut server.connection()).unwrap();
    assert_eq!(store.commit(record(future)).await.unwrap(), Commit::Applied);
    assert_eq!(store.purge(past, 100).await.unwrap(), 0);
    assert_eq!(store.get(record(future).key).await.unwrap(), Some(record(future)));
    assert_eq!(store.list(Select::All, None, 10).await.unwrap().records, [record(future)]);
    assert_eq!(store.purge(future, 100).await.unwrap(), 1);
    assert!(store.get(record(future).key).await.unwrap().is_none());
}

/// Those that are kept for long although they have expired stand first.
#[tokio::test]
async fn cleanup_finds_ended_records_behind_kept_ones() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    let record = |n: u8, expires_at| {
        let mut key = [9; 16];
        key[15] = n;
        Record::new(RecordKey::from_bytes(key), 1, Timestamp::from_unix(expires_at), vec![], vec![])
    };
    for n in 0..50 {
        assert_eq!(store.commit(record(n, if n < 2 { 4 } else { 5 })).await.unwrap(), Commit::Applied);
    }
    let records: Vec<_> = names(&server).into_iter().filter(|name| name.windows(3).any(|w| w == b":r:")).collect();
    for name in records.iter().filter(|name| name.last() >= Some(&2)) {
        let _: usize = redis::cmd("DEL").arg(name).query(&mut server.connection()).unwrap();
    }
    for n in 50..250 {
        assert_eq!(store.commit(record(n, START)).await.unwrap(), Commit::Applied);
    }
    let expiries = names(&server).into_iter().find(|name| name.ends_with(b":e"));
    let left: usize = redis::cmd("ZCARD").arg(expiries).query(&mut server.connection()).unwrap();
    assert_eq!(left, 202);
}

#[tokio::test]
async fn record_whose_expiry_moves_forward_ends_with_it() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    let ends_at = |version, indexes: &[u8], at| {
        let mut record = record(version, indexes);
        record.expires_at = Timestamp::from_unix(at);
        record
    };
    assert_eq!(store.commit(ends_at(1, &[1], i64::MAX as u64)).await.unwrap(), Commit::Applied);
    assert_eq!(store.commit(ends_at(2, &[], 5)).await.unwrap(), Commit::Applied);
    let name = names(&server).into_iter().find(|name| name.windows(3).any(|w| w == b":r:"));
    let left: i64 = redis::cmd("TTL").arg(name).query(&mut server.connection()).unwrap();
    assert!((86_000..=86_400).contains(&left), "{left}");
    assert!(!names(&server).iter().any(|name| name.starts_with(b"mcp-tokens:i:")), "and its index entry has");
}

#[tokio::test]
async fn list_removes_index_entry_of_missing_record() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    assert_eq!(store.commit(record(1, &[1])).await.unwrap(), Commit::Applied);
    assert_eq!(store.commit(record(2, &[2])).await.unwrap(), Commit::Applied);
    let gone = names(&server).into_iter().find(|name| name.windows(3).any(|w| w == b":r:"));
    let _: usize = redis::cmd("DEL").arg(gone).query(&mut server.connection()).unwrap();
    let second = IndexKey::from_bytes([2; 16]);
    assert!(store.list(Select::Index(second), None, 10).await.unwrap().records.is_empty());
    assert!(!names(&server).iter().any(|name| name.starts_with(b"mcp-tokens:i:")));
}

#[tokio::test]
async fn list_removes_index_entry_of_conflicting_commit() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    let second = IndexKey::from_bytes([2; 16]);
    let entries = || {
        let name = [b"mcp-tokens:i:".as_slice(), second.as_bytes()].concat();
        redis::cmd("ZCARD").arg(name).query::<usize>(&mut server.connection()).unwrap()
    };
    assert_eq!(store.commit(record(1, &[1])).await.unwrap(), Commit::Applied);
    assert_eq!(store.commit(record(1, &[2])).await.unwrap(), Commit::Conflict);
    assert_eq!(entries(), 1);
    assert!(store.list(Select::Index(second), None, 10).await.unwrap().records.is_empty());
    assert_eq!(entries(), 0);
}

#[tokio::test]
async fn commit_refused_by_server_is_unavailable_and_unwritten() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    assert_eq!(store.commit(record(1, &[])).await.unwrap(), Commit::Applied);
    let refusals = [
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY"),
    ];
    for (before, after, code) in refusals {
        server.tell(before);
        let refused = store.commit(record(2, &[])).await;
        server.tell(after);
        let Err(StoreError::Unavailable(source)) = refused else { panic!("{code}: {refused:?}") };
        let first: &(dyn std::error::Error + 'static) = &*source;
        let causes = std::iter::successors(Some(first), |error| error.source());
        let texts: Vec<_> = causes.map(|cause| cause.to_string().to_uppercase()).collect();
        assert!(texts.iter().any(|text| text.contains(code)), "{texts:?}");
        assert_eq!(store.get(record(1, &[]).key).await.unwrap(), Some(record(1, &[])));
    }
    assert_eq!(store.commit(record(2, &[])).await.unwrap(), Commit::Applied);
}

/// Reads that went on there would be stale.
#[tokio::test]
async fn reads_leave_server_demoted_to_replica() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    let reader = async || {
        store.get(record(1, &[]).key).await.unwrap();
        let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut server.connection()).unwrap();
        let reader = clients.lines().find(|line| line.contains(" cmd=get "));
        reader.and_then(|line| line.split(' ').next()).map(str::to_owned)
    };
    let before = reader().await;
    assert!(before.is_some());
    assert_eq!(reader().await, before, "one connection for all reads");
    server.tell("REPLICAOF 127.0.0.1 1");
    store.commit(record(1, &[])).await.unwrap_err();
    let between = reader().await;
    assert_ne!(between, before);
    // A login finds it out at its index entry.
    store.commit(record(1, &[2])).await.unwrap_err();
    assert_ne!(reader().await, between);
}

#[tokio::test]
async fn commit_without_replica_is_uncertain() {
    let server = Server::start(&[]);
    let store = open(&server).await.with_min_replicas(1, Duration::from_millis(20));
    let answer = store.commit(record(1, &[])).await;
    assert!(matches!(answer, Err(StoreError::Uncertain(_))), "{answer:?}");
    let read = store.get(record(1, &[]).key).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert_eq!(open(&server).await.get(record(1, &[]).key).await.unwrap(), Some(record(1, &[])));
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_refused_half_way_is_uncertain() {
    let server = Server::start(&[]);
    let store = open(&server).await;
    for n in 0..1000_u64 {
        let key = RecordKey::from_bytes(u128::from(n).to_be_bytes());
        let _ = store.commit(Record::new(key, 1, Timestamp::from_unix(5), vec![], vec![])).await.unwrap();
    }
    let (proxy, url) = Proxy::before(&server);
    let store = connected(|| RedisStore::connect(&url)).await;
    let all = server.tell("DBSIZE");
    proxy.hold_after(100);
    let purge = tokio::spawn(async move { store.purge(Timestamp::from_unix(5), 1000).await });
    until("the purge is half-way", || proxy.holds());
    assert_ne!(server.tell("DBSIZE"), all, "some are deleted");
    server.tell("REPLICAOF 127.0.0.1 1");
    proxy.let_go();
    let answer = purge.await.unwrap();
    assert!(matches!(answer, Err(StoreError::Uncertain(_))), "{answer:?}");
}

/// Names, values, members, and every command as the server got it.
#[tokio::test]
async fn server_sees_no_subject_client_scope_or_token() {
    let server = Server::start(&["--slowlog-log-slower-than", "0", "--slowlog-max-len", "10000"]);
    let bench = bench_on(open(&server).await, keyring(), RotationPolicy::standard());
    let mut token = rt(&bench.issuer.issue(grant(), None).await.unwrap()).to_owned();
    rotate(&bench, &mut token, 3).await;
    bench.issuer.list_families("user-1").await.unwrap();
    let mut seen = names(&server).concat();
    for name in names(&server) {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(name).query(&mut server.connection()).unwrap();
        seen.extend(dump);
    }
    let log: Value = redis::cmd("SLOWLOG").arg("GET").arg(-1).query(&mut server.connection()).unwrap();
    flatten(&log, &mut seen);
    let holds = |text: &str| seen.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("mcp-tokens:") && holds("EVALSHA") && holds("ZRANGEBYLEX"), "this looks in the right place");
    for secret in ["user-1", "client-1", "mcp:read", "mcprt_", "mcpat_", RESOURCE, &token[6..20]] {
        assert!(!holds(secret), "{secret}");
    }
}

fn flatten(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::BulkString(bytes) => into.extend(bytes),
        Value::Array(values) => values.iter().for_each(|value| flatten(value, into)),
        _ => {}
    }
}
