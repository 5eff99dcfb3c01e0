//! Why a policy was refused.

use std::time::Duration;

/// Why a policy was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A duration is out of its bounds.
    #[error("{setting} must be {bound} {limit:?}, got {value:?}")]
    #[non_exhaustive]
    Duration {
        /// The setting of [`RotationPolicyBuilder`].
        setting: &'static str,
        /// What it was set to.
        value: Duration,
        /// What kind of bound it breaks.
        bound: &'static str,
        /// The bound.
        limit: Duration,
    },
    /// A number is out of its bounds.
    #[error("{setting} must be {bound} {limit}, got {value}")]
    #[non_exhaustive]
    Number {
        /// The setting of [`RotationPolicyBuilder`].
        setting: &'static str,
        /// What it was set to.
        value: u32,
        /// What kind of bound it breaks.
        bound: &'static str,
        /// The bound.
        limit: u32,
    },
}

impl PolicyError {
    /// The name of the setting that was refused.
    pub fn setting(&self) -> &'static str {
        let (Self::Duration { setting, .. } | Self::Number { setting, .. }) = self;
        setting
    }
}
