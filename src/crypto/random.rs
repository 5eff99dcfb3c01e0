//! Randomness, injected so that tests can repeat themselves.

use super::NONCE;

/// The random source failed. The request is answered with 503 and nothing has changed.
#[derive(Debug, thiserror::Error)]
#[error("the random source failed")]
pub struct EntropyError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl EntropyError {
    /// The random source failed because of `source`.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// A cryptographically secure random source: family identifiers, family secrets and nonces come from it.
///
/// # Security
///
/// A source that repeats itself, for example a userspace generator whose state was copied by `fork` or by a virtual machine
/// snapshot, repeats nonces and so exposes what was sealed under them. Production code keeps [`OsEntropy`].
pub trait Entropy: Send + Sync {
    /// Fill `bytes` with random bytes, or fail and leave them unspecified.
    ///
    /// # Errors
    ///
    /// When there is no randomness to be had.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The operating system's random source, asked once per operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|error| EntropyError(error.to_string().into()))
    }
}

pub(crate) fn random<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}

/// What one decision needs to be carried out, drawn at once: each request to the operating system is a system call.
pub(crate) struct Randomness {
    pub(crate) access_nonce: [u8; NONCE],
    pub(crate) record_nonce: [u8; NONCE],
    pub(crate) jitter: u32,
}

impl Randomness {
    pub(crate) fn from(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let random: [u8; 2 * NONCE + 4] = random(entropy)?;
        let (mut access_nonce, mut record_nonce, mut jitter) = ([0; NONCE], [0; NONCE], [0; 4]);
        access_nonce.copy_from_slice(&random[..NONCE]);
        record_nonce.copy_from_slice(&random[NONCE..2 * NONCE]);
        jitter.copy_from_slice(&random[2 * NONCE..]);
        Ok(Self { access_nonce, record_nonce, jitter: u32::from_le_bytes(jitter) })
    }
}
