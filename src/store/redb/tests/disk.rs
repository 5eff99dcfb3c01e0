//! A disk in memory that remembers every write and sync, and fails on demand.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use super::*;

/// What was asked of the disk.
#[derive(Clone)]
pub(super) enum Op {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) bytes: Vec<u8>,
    pub(super) log: Vec<Op>,
    pub(super) failing: Option<fn(Access) -> Option<io::ErrorKind>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Access {
    Read,
    Write,
    Sync,
}

/// Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub(super) fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn access(&self, access: Access) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        match state.failing.and_then(|failing| failing(access)) {
            Some(kind) => Err(kind.into()),
            None => Ok(state),
        }
    }

    fn log(&self, access: Access, op: Op) -> io::Result<()> {
        let mut state = self.access(access)?;
        op.apply(&mut state.bytes);
        state.log.push(op);
        Ok(())
    }

    /// The store on this disk.
    pub(super) fn store(&self) -> Result<RedbStore, RedbOpenError> {
        let disk = self.clone();
        RedbStore::start("memory".into(), move || {
            engine::open_with(|builder| builder.create_with_backend(disk.clone()))
        })
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.access(Access::Read)?;
        let from = state.bytes.get(offset as usize..).and_then(|bytes| bytes.get(..out.len()));
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.log(Access::Write, Op::SetLen(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.log(Access::Sync, Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.log(Access::Write, Op::Write(offset as usize, data.to_vec()))
    }
}

impl Op {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => write(bytes, *offset, data),
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Sync => {}
        }
    }

    /// Apply only the sectors that `keep` wants.
    pub(super) fn tear(&self, bytes: &mut Vec<u8>, mut keep: impl FnMut() -> bool) {
        let Self::Write(offset, data) = self else { return self.apply(bytes) };
        let mut at = *offset;
        while at < offset + data.len() {
            let end = (at / 512 * 512 + 512).min(offset + data.len());
            if keep() {
                write(bytes, at, &data[at - offset..end - offset]);
            }
            at = end;
        }
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}
