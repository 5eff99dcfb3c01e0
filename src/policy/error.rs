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
        /// The setting of [`RotationPolicyBuilder`](crate::RotationPolicyBuilder).
        setting: &'static str,
        /// The refused value.
        value: Duration,
        /// The kind of bound that it violates, such as `at most`.
        bound: &'static str,
        /// The bound.
        limit: Duration,
    },
    /// A number is out of its bounds.
    #[error("{setting} must be {bound} {limit}, got {value}")]
    #[non_exhaustive]
    Number {
        /// The setting of [`RotationPolicyBuilder`](crate::RotationPolicyBuilder).
        setting: &'static str,
        /// The refused value.
        value: u32,
        /// The kind of bound that it violates, such as `at most`.
        bound: &'static str,
        /// The bound.
        limit: u32,
    },
}

impl PolicyError {
    /// Returns the name of the setting that was refused.
    pub fn setting(&self) -> &'static str {
        let (Self::Duration { setting, .. } | Self::Number { setting, .. }) = self;
        setting
    }
}
