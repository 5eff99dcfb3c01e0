//! wip
mod hex;
mod store;
mod time;
pub use store::*;
pub use time::*;
