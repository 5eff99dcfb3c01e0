//! Random operations on an issuer and on a naive reference that remembers everything: after each, both say the same.

#[path = "../../support/property.rs"]
mod property;
#[path = "../../support/mod.rs"]
mod support;

mod glass;
mod naive;
mod operations;
mod rules;
mod world;

use std::sync::Arc;

use mcp_token_lifecycle::MemoryStore;
use mcp_token_lifecycle::RedbStore;

use crate::property::runner;
use crate::world::World;

#[test]
fn issuer_in_memory_answers_as_the_reference() {
    let run = |(rules, sequence): (_, Vec<_>)| {
        let store = Arc::new(MemoryStore::new());
        World::new(rules, || Arc::clone(&store)).run(&sequence);
        Ok(())
    };
    runner(1000).run(&(rules::any(), operations::sequence(40)), run).unwrap_or_else(|failure| panic!("{failure}"));
}

/// The file is closed and opened again with every restart.
#[test]
fn issuer_in_a_redb_file_answers_as_the_reference() {
    let run = |(rules, sequence): (_, Vec<_>)| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.redb");
        World::new(rules, || RedbStore::open(&path).unwrap()).run(&sequence);
        Ok(())
    };
    runner(40).run(&(rules::any(), operations::sequence(40)), run).unwrap_or_else(|failure| panic!("{failure}"));
}
