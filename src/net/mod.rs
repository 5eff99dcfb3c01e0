//! Rules for addresses and URIs.

#[cfg(any(feature = "http", feature = "vault"))]
pub(crate) mod address;
pub(crate) mod uri;
