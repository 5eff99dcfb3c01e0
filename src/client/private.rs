//! Files that only their owner can read, change or replace.
//!
//! The crate `fs-mistrust` checks permissions too, and the owner of each folder. It needs a newer compiler (Rust 1.92) than
//! this crate supports (1.90).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::error::StorageError;

/// Makes `path` absolute, creates its folder if it is missing, and checks that folder.
pub(super) fn place(path: &Path) -> Result<PathBuf, StorageError> {
    let path = std::path::absolute(path).map_err(|error| StorageError::io(path, error))?;
    let folder = folder(&path).map_err(|error| StorageError::io(&path, error))?;
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder).map_err(|error| StorageError::io(folder, error))?;
    check_folder(folder)?;
    Ok(path)
}

/// Returns the folder that contains `path`.
pub(super) fn folder(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| ErrorKind::InvalidInput.into())
}

/// Returns `path` with `suffix` appended to its name.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut sibling = path.as_os_str().to_owned();
    sibling.push(suffix);
    sibling.into()
}

/// Options with which a new file belongs to its owner alone.
#[cfg(unix)]
pub(super) fn options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().mode(0o600).clone()
}

#[cfg(not(unix))]
pub(super) fn options() -> OpenOptions {
    File::options()
}

/// How often to open a file again that was replaced in between.
const ATTEMPTS: usize = 32;

/// Opens `path`. Refuses a file that is open to others, and a link to a file.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<File, StorageError> {
    let fault = |error| StorageError::io(path, error);
    check_folder(folder(path).map_err(fault)?)?;
    for _ in 0..ATTEMPTS {
        let file = options.open(path).map_err(fault)?;
        if !fs::symlink_metadata(path).map_err(fault)?.is_file() {
            break;
        }
        if is_named(path, &file).map_err(fault)? {
            check_file(path, &file)?;
            return Ok(file);
        }
    }
    Err(StorageError::NotAFile(path.to_owned()))
}

/// Whether `path` names `file` itself. It does not if another file has replaced it, or if `path` is a link.
#[cfg(unix)]
fn is_named(path: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (named, opened) = (fs::symlink_metadata(path)?, file.metadata()?);
    Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino()))
}

/// Checks the open file and not the path, which may name another file by now.
#[cfg(unix)]
fn check_file(path: &Path, file: &File) -> Result<(), StorageError> {
    use std::os::unix::fs::MetadataExt;
    refuse(path, file.metadata().map_err(|error| StorageError::io(path, error))?.mode(), 0o077)
}

/// Checks `folder` and all folders above it, because a user who may write to one of them can replace what is in it. In
/// a sticky folder, such as `/tmp`, only the owner of an entry can do that, but any user can create the entry first; so
/// `folder` itself must not be one.
#[cfg(unix)]
pub(super) fn check_folder(folder: &Path) -> Result<(), StorageError> {
    use std::os::unix::fs::MetadataExt;
    const STICKY: u32 = 0o1000;
    let folder = fs::canonicalize(folder).map_err(|error| StorageError::io(folder, error))?;
    for above in folder.ancestors() {
        let mode = fs::metadata(above).map_err(|error| StorageError::io(above, error))?.mode();
        if above == folder || mode & STICKY == 0 {
            refuse(above, mode, 0o022)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn refuse(path: &Path, mode: u32, bits: u32) -> Result<(), StorageError> {
    match mode & bits {
        0 => Ok(()),
        _ => Err(StorageError::Permissions { path: path.to_owned(), mode: mode & 0o7777, bits }),
    }
}

#[cfg(not(unix))]
fn is_named(_: &Path, _: &File) -> io::Result<bool> {
    Ok(true)
}

#[cfg(not(unix))]
fn check_file(_: &Path, _: &File) -> Result<(), StorageError> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn check_folder(_: &Path) -> Result<(), StorageError> {
    Ok(())
}
