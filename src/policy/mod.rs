//! Policies: lifetimes, rotation, the reuse leeway, and what reuse leads to.

mod builder;
mod choices;
mod error;
mod lifetimes;
mod rotation_policy;
mod set;

pub use self::builder::RotationPolicyBuilder;
pub use self::choices::{OnAhead, OnReuse, OnSuperseded, Rotation};
pub use self::error::PolicyError;
pub use self::lifetimes::{Lifetimes, ScopeLimit};
pub(crate) use self::rotation_policy::Leeway;
pub use self::rotation_policy::RotationPolicy;
pub use self::set::PolicySet;
