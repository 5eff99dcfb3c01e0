//! A model check of the life of one family: an honest client, a thief with a copy, a network that loses and duplicates, two
//! nodes that race on one store, a logout, a clock. Every state that can be reached within the bounds of a setup (a last tick,
//! a last version of the record) is visited.
//!
//! Nothing of the crate is written a second time. What a node makes of a request is what the real issuer makes of it: it parses,
//! authenticates, decides and seals, on the record that the node has loaded. The model only stops it before the commit, so
//! that another node can come in between.
//!
//! ```text
//! setup        policy, who takes part, the bounds
//! node         one attempt of the real issuer          request, tokens   what it is asked and answers
//! world        the state                               steps             what can happen next
//! deployment   setup and node: the model               properties        what must hold
//! holds        it does                                 broken            and each of it can fail
//! ```
#[path = "../support/mod.rs"]
mod support;

mod broken;
mod deployment;
mod holds;
mod node;
mod properties;
mod request;
mod setup;
mod steps;
mod tokens;
mod world;
