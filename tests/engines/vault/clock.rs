//! A time that several processes share, and that passes when the test says so.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use mcp_token_lifecycle::{Clock, Timestamp};

use crate::support::START;

/// Eight bytes in a file.
#[derive(Clone)]
pub struct SharedClock(Arc<File>);

impl SharedClock {
    pub fn create(path: &Path) -> Self {
        let clock = Self(Arc::new(File::create_new(path).unwrap()));
        clock.set(START);
        Self::open(path)
    }

    pub fn open(path: &Path) -> Self {
        Self(Arc::new(File::options().read(true).write(true).open(path).unwrap()))
    }

    pub fn pass(&self, seconds: u64) {
        self.set(self.now().as_unix() + seconds);
    }

    fn set(&self, to: u64) {
        self.0.write_all_at(&to.to_be_bytes(), 0).unwrap();
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, 0).unwrap();
        Timestamp::from_unix(u64::from_be_bytes(bytes))
    }
}
