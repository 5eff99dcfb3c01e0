//! Randomness from any `rand_core` generator, so that tests can use a seeded one.

use std::sync::{Arc, Mutex, PoisonError};

use getrandom::SysRng;
use rand_core::TryCryptoRng;

use super::NONCE;

/// The random number generator failed. The caller answers 503, and nothing has changed.
#[derive(Debug, thiserror::Error)]
#[error("the random number generator failed: {0}")]
pub struct EntropyError(String);

impl EntropyError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

type Fill = dyn Fn(&mut [u8]) -> Result<(), EntropyError> + Send + Sync;

/// Where random bytes come from.
#[derive(Clone)]
pub(crate) struct RandomSource(Arc<Fill>);

impl Default for RandomSource {
    /// Returns the operating system's generator.
    fn default() -> Self {
        Self(Arc::new(|bytes| fill(&mut SysRng, bytes)))
    }
}

impl RandomSource {
    pub(crate) fn new(rng: impl TryCryptoRng + Send + 'static) -> Self {
        let rng = Mutex::new(rng);
        Self(Arc::new(move |bytes| fill(&mut *rng.lock().unwrap_or_else(PoisonError::into_inner), bytes)))
    }

    pub(crate) fn bytes<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes).map(|()| bytes)
    }
}

fn fill(rng: &mut impl TryCryptoRng, bytes: &mut [u8]) -> Result<(), EntropyError> {
    rng.try_fill_bytes(bytes).map_err(|error| EntropyError::new(error.to_string()))
}

/// The random values that one decision needs. They are drawn at once, because each request to the operating system is a
/// system call.
pub(crate) struct Randomness {
    pub(crate) access_nonce: [u8; NONCE],
    pub(crate) record_nonce: [u8; NONCE],
    pub(crate) jitter: u32,
}

impl Randomness {
    pub(crate) fn from(source: &RandomSource) -> Result<Self, EntropyError> {
        let random: [u8; 2 * NONCE + 4] = source.bytes()?;
        let (mut access_nonce, mut record_nonce, mut jitter) = ([0; NONCE], [0; NONCE], [0; 4]);
        access_nonce.copy_from_slice(&random[..NONCE]);
        record_nonce.copy_from_slice(&random[NONCE..2 * NONCE]);
        jitter.copy_from_slice(&random[2 * NONCE..]);
        Ok(Self { access_nonce, record_nonce, jitter: u32::from_le_bytes(jitter) })
    }
}
