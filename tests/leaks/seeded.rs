//! The same randomness in every run: what another process drew is known, and where a file puts its records.

use std::sync::atomic::{AtomicU64, Ordering};

use mcp_token_lifecycle::{Entropy, EntropyError};

use crate::search::sha256;

#[derive(Default)]
pub struct Seeded(AtomicU64);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(32) {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&sha256(number.to_be_bytes())[..chunk.len()]);
        }
        Ok(())
    }
}
