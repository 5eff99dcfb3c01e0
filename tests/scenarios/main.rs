//! The behaviours of docs/scenarios.md, each held by a test that is named by its id.
#[path = "../support/mod.rs"]
mod support;

mod binding;
mod concurrency;
mod coverage;
mod failure;
mod lifetimes;
mod retry;
mod reuse;
mod revocation;
mod rotation;
mod scope;
mod windows;
