//! The record of one account: as bytes, sealed, and under which key and index keys it is stored.

mod content;
mod root;
mod seal;

pub(crate) use self::content::{check_length, decode, encode};
pub(crate) use self::root::Root;
pub(crate) use self::seal::{context, open, rewrap, seal, wrapped};
