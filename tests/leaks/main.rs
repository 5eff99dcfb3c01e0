//! Nothing secret leaves the places it belongs to: not into the database file, the audit, a `Debug`, an error, freed memory.
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "redb")]
mod file;
mod output;
mod search;
mod seeded;
#[cfg(feature = "redb")]
mod shredding;
mod story;
