//! The file, its permissions, and what is left behind by others.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use mcp_token_lifecycle::client::{CredentialStorage, FileStorage, StorageError, TokenManager};
use mcp_token_lifecycle::vault::Runtime;
use tempfile::{TempDir, tempdir};

use super::script::{Script, lock_of};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A storage with `content` in it.
fn storage() -> (TempDir, PathBuf, FileStorage) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("credentials");
    let storage = FileStorage::open(&path).unwrap();
    storage.write(b"content").unwrap();
    (folder, path, storage)
}

fn read(storage: &FileStorage) -> Vec<u8> {
    storage.read().unwrap().unwrap().to_vec()
}

#[test]
fn file_storage_creates_files_0600_and_folders_0700() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a/b/credentials");
    let storage = FileStorage::open(&path).unwrap();
    let _lock = storage.try_lock().unwrap().unwrap();
    storage.write(b"content").unwrap();
    assert_eq!(read(&storage), b"content");
    assert_eq!((mode(&path), mode(&path.with_extension("lock"))), (0o600, 0o600));
    assert_eq!((mode(&folder.path().join("a")), mode(&folder.path().join("a/b"))), (0o700, 0o700));
}

#[test]
fn read_refuses_file_with_any_group_or_other_bit() {
    let (_folder, path, storage) = storage();
    for bit in [0o040, 0o020, 0o010, 0o004, 0o002, 0o001] {
        set_mode(&path, 0o600 | bit);
        let refused = storage.read();
        assert!(matches!(refused, Err(StorageError::Permissions { mode, .. }) if mode == 0o600 | bit), "{bit:o}");
    }
    set_mode(&path, 0o400);
    assert_eq!(read(&storage), b"content");
}

#[test]
fn try_lock_refuses_lock_file_with_open_mode() {
    let (_folder, path, storage) = storage();
    drop(storage.try_lock().unwrap());
    set_mode(&path.with_extension("lock"), 0o644);
    assert!(matches!(storage.try_lock(), Err(StorageError::Permissions { .. })));
}

#[test]
fn file_storage_refuses_writable_folder_even_if_sticky() {
    let (folder, path, storage) = storage();
    for open in [0o770, 0o707, 0o1777] {
        set_mode(folder.path(), open);
        assert!(matches!(FileStorage::open(&path), Err(StorageError::Permissions { .. })), "{open:o}");
        assert!(matches!(storage.read(), Err(StorageError::Permissions { .. })), "{open:o}");
        assert!(matches!(storage.write(b"new"), Err(StorageError::Permissions { .. })), "{open:o}");
        assert!(matches!(storage.try_lock(), Err(StorageError::Permissions { .. })), "{open:o}");
    }
    set_mode(folder.path(), 0o755);
    assert_eq!(read(&storage), b"content");
}

#[test]
fn read_refuses_writable_ancestor_unless_sticky() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("mine/credentials");
    let storage = FileStorage::open(&path).unwrap();
    set_mode(folder.path(), 0o777);
    assert!(matches!(storage.read(), Err(StorageError::Permissions { .. })));
    set_mode(folder.path(), 0o1777);
    assert!(storage.read().unwrap().is_none());
}

#[test]
fn file_storage_follows_no_symlink_and_reads_no_folder() {
    let (folder, path, storage) = storage();
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(matches!(storage.read(), Err(StorageError::NotAFile(_))));
    storage.write(b"new").unwrap();
    assert_eq!((read(&storage), fs::read(&elsewhere).unwrap()), (b"new".to_vec(), b"content".to_vec()));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(storage.read(), Err(StorageError::NotAFile(_))));
}

#[test]
fn write_replaces_stale_temp_file_and_follows_no_symlink() {
    let (folder, path, storage) = storage();
    let temp = path.with_extension("tmp");
    fs::write(&temp, "half of it, and longer than what comes").unwrap();
    assert_eq!(read(&storage), b"content");
    storage.write(b"new").unwrap();
    assert_eq!(read(&storage), b"new");
    assert!(!temp.exists());
    let victim = folder.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, &temp).unwrap();
    storage.write(b"newer").unwrap();
    assert_eq!((read(&storage), fs::read(&victim).unwrap()), (b"newer".to_vec(), b"untouched".to_vec()));
}

#[test]
fn read_refuses_file_over_size_limit() {
    let (_folder, path, storage) = storage();
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let message = storage.read().unwrap_err().to_string();
    assert_eq!(message, format!("{} must be shorter than 262144 bytes, got {}", path.display(), 1_u64 << 40));
}

#[test]
fn try_lock_is_exclusive_and_outlives_the_file() {
    let (_folder, path, storage) = storage();
    let other = FileStorage::open(&path).unwrap();
    let held = storage.try_lock().unwrap();
    assert!(held.is_some());
    assert!(other.try_lock().unwrap().is_none());
    assert!(storage.try_lock().unwrap().is_none());
    storage.delete().unwrap();
    assert!(other.try_lock().unwrap().is_none(), "the lock outlives the file");
    drop(held);
    lock_of(&other);
}

#[test]
fn deleting_what_is_not_there_is_a_success() {
    let (_folder, path, storage) = storage();
    fs::write(path.with_extension("tmp"), "left behind").unwrap();
    storage.delete().unwrap();
    storage.delete().unwrap();
    assert!(storage.read().unwrap().is_none());
    assert!(!path.exists() && !path.with_extension("tmp").exists());
}

#[test]
fn read_during_writes_sees_old_or_new_whole() {
    let (_folder, path, storage) = storage();
    let contents = [vec![b'a'; 20_000], vec![b'b'; 30_000]];
    storage.write(&contents[0]).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..300).for_each(|n| storage.write(&contents[n % 2]).unwrap()));
        let reader = FileStorage::open(&path).unwrap();
        while !writer.is_finished() {
            assert!(contents.contains(&read(&reader)));
        }
    });
}

/// What the operator has to look at, and what is wrong with it.
#[tokio::test]
async fn storage_errors_name_the_path_and_the_octal_mode() {
    let (folder, path, storage) = storage();
    let shown = path.display();
    set_mode(&path, 0o644);
    let expected = format!("the mode of {shown} must have none of the bits 0077, got 0644");
    assert_eq!(storage.read().unwrap_err().to_string(), expected);
    set_mode(&path, 0o600);
    set_mode(folder.path(), 0o775);
    let shown_folder = folder.path().canonicalize().unwrap();
    let expected = format!("the mode of {} must have none of the bits 0022, got 0775", shown_folder.display());
    assert_eq!(storage.read().unwrap_err().to_string(), expected);
    set_mode(folder.path(), 0o700);

    let under_a_file = path.join("credentials");
    let error = FileStorage::open(&under_a_file).unwrap_err().to_string();
    assert_eq!(error, format!("the file system failed at {shown}"));

    fs::write(&path, "not a credential").unwrap();
    let runtime = Runtime::new(tokio::time::sleep, |task| drop(tokio::spawn(task)));
    let credentials = TokenManager::new(storage, Script::new([]), runtime);
    let error = credentials.access_token().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, format!("the stored tokens in {shown} are malformed"));
}
