//! The credential in a file.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::StorageError;
use super::lock_file::LockFile;
use super::private;
use super::storage::{CredentialStorage, StorageLock};

/// No credential is longer than this many bytes.
const MAX_LEN: u64 = 256 * 1024;

/// A credential in a file that its owner alone may read and write.
///
/// Next to the file `NAME` lie `NAME.lock`, which stays there for ever, and, for the moment of a write, `NAME.tmp`.
///
/// # Security
///
/// Whoever can read the file has the login, unless it is [sealed](super::TokenManager::sealed_with). On Unix a new file
/// has the mode 600 and a new folder 700. A file with more, a symbolic link, and a file under a folder that others may write to
/// (but for sticky ones such as `/tmp` further up) are refused: [`StorageError::Permissions`], [`StorageError::NotAFile`]. Who
/// the owner is, is not looked at; that matters to root alone, who can read the files of others. On other systems the
/// permissions are not looked at; put the file where the user's profile is.
///
/// # Durability
///
/// A write goes to a new file, which is synced and then renamed, and on Unix the folder is synced too; so a crash leaves the
/// old credential or the new one. The file system must support locks and atomic renames; some network file systems do not.
#[derive(Debug)]
pub struct FileStorage {
    path: PathBuf,
    temp: PathBuf,
    lock: LockFile,
}

impl FileStorage {
    /// The credential in the file at `path`, which need not exist yet. Its folder is made if it is missing.
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
        // Room for one byte more: a vector that grows leaves copies of the secrets behind.
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
        // Left behind by a process that was killed.
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

/// A rename is durable once the folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(private::folder(path)?)?.sync_all() } else { Ok(()) }
}
