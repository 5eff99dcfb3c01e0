//! Nothing secret leaves the places it belongs to: not into the database file, the audit, a `Debug`, an error, freed memory.
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "redb")]
mod file;
#[cfg(target_os = "linux")]
mod memory;
mod output;
mod search;
#[cfg(feature = "redb")]
mod shredding;
mod story;
