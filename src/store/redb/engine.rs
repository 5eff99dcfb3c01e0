//! The open database file: how it is created, and how it is reopened after a failure.

use super::error::{Fault, OpenFault};
use super::recent::Recent;
use super::rows;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError};

/// The size in bytes of the page cache, which is allocated as needed. The default of redb, 1 GiB, is too much for a
/// library.
const CACHE: usize = 128 << 20;

/// How long to wait after a failed attempt to open the file, so that not every request tries it.
const RETRY: Duration = Duration::from_millis(200);

pub(super) type Opened = Result<Database, OpenFault>;

/// The database, which all threads share, and the one place where it is replaced.
pub(super) struct Engine {
    open: Box<dyn Fn() -> Opened + Send + Sync>,
    state: RwLock<State>,
    recent: Recent,
}

enum State {
    Open(Database),
    /// The file was closed after a failure. The next caller after `retry_at` opens it.
    Closed {
        cause: Arc<Fault>,
        retry_at: Instant,
    },
    /// A sync may have failed: this process does not open the file again.
    Halted(Arc<Fault>),
}

impl Engine {
    pub(super) fn open(open: impl Fn() -> Opened + Send + Sync + 'static) -> Result<Self, OpenFault> {
        let state = RwLock::new(State::Open(open()?));
        Ok(Self { open: Box::new(open), state, recent: Recent::default() })
    }

    /// Returns the records that were written last. There are none while the file is closed.
    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Does `work` on the database. If the engine fails, or panics over a damaged file, it is closed, and the next
    /// caller reopens it.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, Fault> {
        let state = self.ready()?;
        let State::Open(database) = &*state else { return Err(Fault::Stopped) };
        let result = catch_unwind(AssertUnwindSafe(|| work(database))).unwrap_or(Err(Fault::Panic));
        drop(state);
        if let Err(fault) = &result
            && fault.is_of_engine()
        {
            self.close(fault);
        }
        result
    }

    fn ready(&self) -> Result<RwLockReadGuard<'_, State>, Fault> {
        loop {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            match &*state {
                State::Open(_) => return Ok(state),
                State::Halted(cause) => return Err(Fault::Closed(cause.clone())),
                State::Closed { cause, retry_at } if Instant::now() < *retry_at => {
                    return Err(Fault::Closed(cause.clone()));
                }
                State::Closed { .. } => {}
            }
            drop(state);
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            if matches!(&*state, State::Closed { retry_at, .. } if Instant::now() >= *retry_at) {
                *state = match (self.open)() {
                    Ok(database) => State::Open(database),
                    Err(e) => {
                        let cause = Arc::new(Fault::Reopen(Arc::new(e)));
                        State::Closed { cause, retry_at: Instant::now() + RETRY }
                    }
                };
            }
        }
    }

    /// Waits until no thread uses the database, because only then its lock on the file can be released.
    fn close(&self, fault: &Fault) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Another process may change the file before it is opened again.
        self.recent.clear();
        let next = if fault.may_be_failed_sync() {
            State::Halted(Arc::new(fault.clone()))
        } else if matches!(*state, State::Open(_)) {
            State::Closed { cause: Arc::new(fault.clone()), retry_at: Instant::now() }
        } else {
            return;
        };
        let last = std::mem::replace(&mut *state, next);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(last)));
    }
}

/// Creates the file under a temporary name and links it in place when it is complete, so that a crash leaves no
/// incomplete file.
pub(super) fn create_missing(path: &Path) -> Result<(), OpenFault> {
    if !path.try_exists()? {
        let mut draft = path.as_os_str().to_owned();
        // The name is random: another process may be creating the file, or may have crashed while it did.
        draft.push(format!(".{:016x}.new", RandomState::new().hash_one(())));
        let draft = PathBuf::from(draft);
        let linked = create(&draft).and_then(|()| match fs::hard_link(&draft, path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Not every file system has links.
            Err(_) => Ok(fs::rename(&draft, path)?),
            Ok(()) => Ok(()),
        });
        let _ = fs::remove_file(&draft);
        linked?;
    }
    // Without this sync a crash may lose the name of the file, and with it the acknowledged commits.
    #[cfg(unix)]
    File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

fn create(path: &Path) -> Result<(), OpenFault> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    open_file(path).map(drop)
}

/// Opens the file, which must exist.
pub(super) fn open_file(path: &Path) -> Opened {
    // The `create` of redb would create a missing file with the wrong mode.
    fs::metadata(path)?;
    open_with(|builder| builder.create(path))
}

pub(super) fn open_with(open: impl FnOnce(&redb::Builder) -> Result<Database, DatabaseError>) -> Opened {
    let mut builder = Database::builder();
    // The integrity check reads the whole file. So a damaged file is refused here and not when a request meets the
    // damage.
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = open(&builder)?;
        rows::prepare(&database)?;
        Ok(database)
    }));
    opened.unwrap_or_else(|_| Err(OpenFault::Damaged("the storage engine panicked".into())))
}
