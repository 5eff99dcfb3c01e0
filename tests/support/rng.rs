//! Generators of random numbers that tests decide about.

use std::fmt;

use mcp_token_lifecycle::rand_core::{TryCryptoRng, TryRng};

/// What stands in for randomness in a test.
pub trait Fill {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Dry>;
}

/// There is no randomness.
#[derive(Debug)]
pub struct Dry;

impl fmt::Display for Dry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dry")
    }
}

impl std::error::Error for Dry {}

/// A generator of what `F` fills in.
pub struct FillRng<F>(pub F);

impl<F: Fill> TryRng for FillRng<F> {
    type Error = Dry;

    fn try_next_u32(&mut self) -> Result<u32, Dry> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Dry> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Dry> {
        self.0.fill(bytes)
    }
}

impl<F: Fill> TryCryptoRng for FillRng<F> {}

/// Bytes of the operating system.
pub fn system_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).unwrap();
}
