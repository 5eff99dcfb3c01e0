//! The file: who may open it, what it weighs, and what else may lie in its place.

use std::fs;

use super::*;

#[cfg(unix)]
#[test]
fn open_error_names_the_file_and_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o750)).unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "something else").unwrap();
    let open = dir.path().join("open");
    let _open = RedbStore::open(&open).unwrap();
    for (path, expected) in [
        (folder.clone(), format!("token store {} (mode 750) could not be opened", folder.display())),
        (folder.join("a/b"), format!("token store {} could not be opened", folder.join("a/b").display())),
        (
            file.clone(),
            format!("file {} is not a token store, or has a layout that this version does not know", file.display()),
        ),
        (open.clone(), format!("token store {} is already open", open.display())),
    ] {
        assert_eq!(RedbStore::open(&path).unwrap_err().to_string(), expected);
    }
}

#[test]
fn open_refuses_a_file_that_is_already_open() {
    let (_dir, path) = temporary();
    let store = RedbStore::open(&path).unwrap();
    assert!(matches!(RedbStore::open(&path), Err(RedbOpenError::AlreadyOpen { .. })));
    drop(store);
    RedbStore::open(&path).unwrap();
}

#[test]
fn open_by_many_that_create_the_file_succeeds_once() {
    for _ in 0..10 {
        let (_dir, path) = temporary();
        let opened = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| RedbStore::open(&path))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let refused = opened.iter().filter(|opened| matches!(opened, Err(RedbOpenError::AlreadyOpen { .. }))).count();
        assert_eq!((refused, opened.iter().flatten().count()), (7, 1), "{opened:?}");
    }
}

#[cfg(unix)]
#[test]
fn open_makes_a_private_file_alone_and_keeps_a_changed_mode() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, path) = temporary();
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the draft is gone");
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    RedbStore::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660, "the operator's choice");
}

#[test]
fn debug_shows_no_content() {
    let (_dir, path) = temporary();
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(format!("{store:?}"), format!("RedbStore {{ path: {path:?}, .. }}"));
}

#[test]
fn open_makes_an_empty_file_a_store() {
    let (_dir, path) = temporary();
    fs::write(&path, []).unwrap();
    apply(&RedbStore::open(&path).unwrap(), record(1, 1, 1));
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let (dir, path) = temporary();
    for content in [&b"#!/bin/sh\n"[..], &[0; 4096], &[0xff; 100_000]] {
        fs::write(&path, content).unwrap();
        assert!(matches!(RedbStore::open(&path), Err(RedbOpenError::NotAStore { .. })));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    assert!(matches!(RedbStore::open(dir.path()), Err(RedbOpenError::Io { .. })));
    assert!(matches!(RedbStore::open(dir.path().join("no/such/dir")), Err(RedbOpenError::Io { .. })));

    let other = dir.path().join("other.redb");
    let database = redb::Database::create(&other).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(RedbStore::open(&other), Err(RedbOpenError::NotAStore { .. })));
}

/// Any altered byte gives an error or the original record: never a panic of this crate, never another record.
#[test]
fn damaged_file_is_refused_or_reads_no_other_record() {
    let (dir, path) = temporary();
    let store = RedbStore::open(&path).unwrap();
    for n in 0..200 {
        apply(&store, record(n, 1, 10));
    }
    drop(store);
    let sound = fs::read(&path).unwrap();
    let (mut refused, mut opened) = (0, 0);
    for round in 0..300_u64 {
        let mut bytes = sound.clone();
        let place = (round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) as usize % bytes.len();
        match round % 3 {
            0 => bytes[place] ^= 1 << (round % 8),
            1 => bytes[place..].iter_mut().take(512).for_each(|byte| *byte = 0),
            _ => bytes.truncate(place),
        }
        let copy = dir.path().join("copy.redb");
        fs::write(&copy, bytes).unwrap();
        match RedbStore::open(&copy) {
            Err(RedbOpenError::Damaged { .. } | RedbOpenError::NotAStore { .. } | RedbOpenError::Io { .. }) => {
                refused += 1
            }
            Err(other) => panic!("{other:?}"),
            Ok(store) => {
                opened += 1;
                for n in 0..200 {
                    match block_on(store.get(key(n))) {
                        Ok(found) => assert_eq!(found, Some(record(n, 1, 10))),
                        Err(StoreError::Unavailable(_) | StoreError::Uncertain(_)) => {}
                    }
                }
            }
        }
    }
    println!("{refused} damaged files refused, {opened} opened and read true");
    assert!(refused > 50 && opened > 50);
}

#[test]
fn record_takes_at_most_400_stored_bytes() {
    let (_dir, path) = temporary();
    let store = RedbStore::open(&path).unwrap();
    const RECORDS: u64 = 20_000;
    let mut waker = Context::from_waker(Waker::noop());
    for n in 0..RECORDS {
        let mut commit = Box::pin(store.commit(record(n, 1, 10_000 + n % 5000)));
        if commit.as_mut().poll(&mut waker).is_pending() && n % 1000 == 0 {
            let _ = block_on(commit).unwrap();
        }
    }
    drop(store);
    let (stored, tables) = rows::tests::stored_bytes(&engine::open_file(&path).unwrap());
    println!("{} bytes stored per record {tables:?}, {} in the file", stored / RECORDS, {
        fs::metadata(&path).unwrap().len() / RECORDS
    });
    assert!(stored <= 400 * RECORDS);
}
