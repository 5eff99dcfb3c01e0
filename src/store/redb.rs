//! wip
pub struct RedbStore;
