//! Stores the tokens in a file.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::StorageError;
use super::lock_file::LockFile;
use super::private;
use super::storage::{CredentialStorage, StorageLock};

/// The length from which a file is refused, in bytes.
const MAX_LEN: u64 = 256 * 1024;

/// Stores the tokens in a file that only its owner may read and write.
///
/// The file `NAME.lock` next to it stays there permanently. The file `NAME.tmp` exists during a write.
///
/// # Security
///
/// A process that can read the file has the login, unless it is [sealed](super::TokenManager::sealed_with).
///
/// On Unix a new file has the mode 600 and a new folder 700. These are refused: a file with more permissions and a
/// folder above it that others may write to, except a sticky one such as `/tmp` further up
/// ([`StorageError::Permissions`]); a symbolic link ([`StorageError::NotAFile`]). The owner is not checked; this
/// matters only to root, who can read the files of others.
///
/// On other systems no permissions are checked; put the file into the user's profile.
///
/// # Durability
///
/// A write goes to a new file, which is synced and then renamed; on Unix the folder is synced too. So a crash leaves
/// the old tokens or the new ones. The file system must support locks and atomic renames, which some network file
/// systems do not.
#[derive(Debug)]
pub struct FileStorage {
    path: PathBuf,
    temp: PathBuf,
    lock: LockFile,
}

impl FileStorage {
    /// Opens the storage in the file at `path`, which need not exist yet. Creates its folder if it is missing.
    ///
    /// # Errors
    ///
    /// [`StorageError::Permissions`] if others may write to the folder; [`StorageError::Io`] if the folder cannot be made.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let path = private::place(path.as_ref())?;
        Ok(Self {
            temp: private::sibling(&path, ".tmp"),
            lock: LockFile::new(&private::sibling(&path, ".lock"))?,
            path,
        })
    }
}

impl FileStorage {
    fn fault(&self) -> impl FnOnce(io::Error) -> StorageError {
        |source| StorageError::io(&self.path, source)
    }
}

impl CredentialStorage for FileStorage {
    fn try_lock(&self) -> Result<Option<StorageLock>, StorageError> {
        self.lock.try_lock()
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        let file = match private::open(&self.path, private::options().read(true)) {
            Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = file.metadata().map_err(self.fault())?.len();
        // One byte more than the file: a vector that grows leaves copies of the secrets behind.
        let mut content = Zeroizing::new(Vec::with_capacity(length.min(MAX_LEN) as usize + 1));
        match file.take(MAX_LEN).read_to_end(&mut content).map_err(self.fault())? as u64 {
            MAX_LEN => Err(StorageError::TooLong { path: self.path.clone(), got: length.max(MAX_LEN), limit: MAX_LEN }),
            _ => Ok(Some(content)),
        }
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        // A process that was killed may have left it behind.
        remove(&self.temp)?;
        let mut file = private::open(&self.temp, private::options().write(true).create_new(true))?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(|source| StorageError::io(&self.temp, source))?;
        fs::rename(&self.temp, &self.path).and_then(|()| sync_folder(&self.path)).map_err(self.fault())
    }

    fn delete(&self) -> Result<(), StorageError> {
        remove(&self.temp)?;
        remove(&self.path)?;
        sync_folder(&self.path).map_err(self.fault())
    }
}

fn remove(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StorageError::io(path, error)),
        _ => Ok(()),
    }
}

/// Syncs the folder of `path`, which makes a rename durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(private::folder(path)?)?.sync_all() } else { Ok(()) }
}
