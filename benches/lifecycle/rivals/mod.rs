//! Other crates with the same claims and the same exchange, through their public interface.

pub mod jwt;
pub mod oauth_as;
pub mod oxide;
pub mod paseto;
