//! Bad input of every kind at every parser: nothing panics, nothing is accepted, and the store is not asked for what the
//! guard turns away.

#[path = "../../support/property.rs"]
mod property;
#[path = "../../support/mod.rs"]
mod support;

mod access_tokens;
mod altered;
mod arbitrary;
mod forged;
mod parsers;
mod records;
mod refresh_tokens;
