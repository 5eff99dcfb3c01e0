//! The scripts, each one operation, and their answers.

use redis::{Cmd, FromRedisValue, Script, Value};

use super::fault::Fault;
use super::layout::Listing;
use crate::id::RecordKey;

/// The scripts of the store.
pub(super) struct Scripts {
    pub(super) commit: Program,
    pub(super) confirm: Program,
    pub(super) enlist: Program,
    pub(super) fence: Program,
    pub(super) purge: Program,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            commit: Program::new(include_str!("commit.lua")),
            confirm: Program::new(include_str!("confirm.lua")),
            enlist: Program::new(include_str!("enlist.lua")),
            fence: Program::new(include_str!("fence.lua")),
            purge: Program::new(include_str!("purge.lua")),
        }
    }
}

pub(super) struct Program {
    code: &'static str,
    hash: String,
}

impl Program {
    fn new(code: &'static str) -> Self {
        Self { code, hash: Script::new(code).get_hash().to_owned() }
    }

    /// Returns the call by hash: a few bytes, if the server has seen the script.
    pub(super) fn by_hash(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.hash, keys, arguments)
    }

    /// Returns the call with the text, which the server then remembers.
    pub(super) fn by_text(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        call("EVAL", self.code, keys, arguments)
    }
}

fn call(command: &str, script: &str, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
    let mut cmd = redis::cmd(command);
    cmd.arg(script).arg(keys.len());
    for part in keys.iter().chain(arguments) {
        cmd.arg(*part);
    }
    cmd
}

/// The answer of `commit.lua`.
pub(super) enum Swap {
    Conflict,
    Done,
    /// The index entries must be written before the record, and kept at least until this time.
    EnlistFirst(u64),
    /// The record is written, and these entries are out of date.
    Delist(Listing),
}

impl Swap {
    pub(super) fn read(answer: Value) -> Result<Self, Fault> {
        match answer {
            Value::Int(0) => Ok(Self::Conflict),
            Value::Int(1) => Ok(Self::Done),
            Value::BulkString(bytes) => match bytes.as_slice().try_into() {
                Ok(until) => Ok(Self::EnlistFirst(u64::from_be_bytes(until))),
                Err(_) => Ok(Self::Delist(Listing::decode(&bytes)?)),
            },
            _ => Err(Fault::Answer),
        }
    }
}

/// The answer of `purge.lua`.
pub(super) struct Purge {
    pub(super) seen: usize,
    /// The deleted records with the index entries that they leave behind.
    pub(super) deleted: Vec<(RecordKey, Listing)>,
}

impl Purge {
    pub(super) fn read(answer: Value) -> Result<Self, Fault> {
        let (seen, deleted) = <(usize, Vec<Vec<u8>>)>::from_redis_value(answer).map_err(|_| Fault::Answer)?;
        let (pairs, _) = deleted.as_chunks();
        let deleted = pairs.iter().map(|[key, listing]| {
            let key = key.as_slice().try_into().map_err(|_| Fault::Answer)?;
            Ok((RecordKey::from_bytes(key), Listing::decode(listing)?))
        });
        Ok(Self { seen, deleted: deleted.collect::<Result<_, Fault>>()? })
    }
}
