//! Which addresses and URLs are good.

#[cfg(any(feature = "http", feature = "vault"))]
pub(crate) mod address;
pub(crate) mod uri;
