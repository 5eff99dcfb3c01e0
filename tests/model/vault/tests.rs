//! A model check of the decision of the vault: one account, a service, a store and a clock; any number of processes that put,
//! lease, revoke and retry. Every state that can be reached within the bounds of a setup is visited.
//!
//! The decision is the one of the crate. The model is the world around it: what the runner does with a decision, and what the
//! service does with a request. A process can stop at any point, for good: a state in which it does not go on is a state too.
//!
//! ```text
//! setup        who does what how often                  names            secrets, owners and operations
//! world        the state                                service          what it answers, and what it honours
//! account      the model: the decision, as it is or     runner           a decision and what follows from it
//!              broken                                   judge            what one decision must not do
//! steps        what can happen next                     canonical        states that differ in names alone are one
//! properties   what must hold                           holds, broken    it does, and each of it can fail
//! ```
//!
//! The time is counted in steps of ten seconds. A claim lasts one step (in one setup two), a pause less than one. All tokens
//! are good and due for a refresh, so every lease is answered and refreshes. The reports of a decision count with its write,
//! confirmed or not; a process that stops between the two reports nothing.

mod account;
mod broken;
mod canonical;
mod holds;
mod judge;
mod names;
mod properties;
mod runner;
mod service;
mod setup;
mod steps;
mod world;
