//! Files that nobody but their owner can read, change, or put another in the place of.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::error::StorageError;

/// `path` made absolute, its folder made if it is missing, and checked.
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

/// The folder that `path` is in.
pub(super) fn folder(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| ErrorKind::InvalidInput.into())
}

/// What lies next to `path`, its name being longer by `suffix`.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut sibling = path.as_os_str().to_owned();
    sibling.push(suffix);
    sibling.into()
}

/// Options by which a new file is its owner's alone.
#[cfg(unix)]
pub(super) fn options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().mode(0o600).clone()
}

#[cfg(not(unix))]
pub(super) fn options() -> OpenOptions {
    File::options()
}

/// How often a file is opened again that was replaced meanwhile.
const ATTEMPTS: usize = 32;

/// Open `path`, and refuse what is open to others, or is not a file of this very name but a link to one.
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

/// Whether it is `file` that goes by the name `path`, rather than one that has replaced it, or that a link has led to.
#[cfg(unix)]
fn is_named(path: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (named, opened) = (fs::symlink_metadata(path)?, file.metadata()?);
    Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino()))
}

/// Of the open file, not of the path, which may by now be another.
#[cfg(unix)]
fn check_file(path: &Path, file: &File) -> Result<(), StorageError> {
    use std::os::unix::fs::MetadataExt;
    refuse(path, file.metadata().map_err(|error| StorageError::io(path, error))?.mode(), 0o077)
}

/// Whoever may write to a folder may swap what is in it; so each up to the root counts. In a folder with the sticky bit, such
/// as `/tmp`, only the owner of an entry may; but anybody may be there first.
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
