//! The HTTP surface over real HTTP: what each endpoint takes, what it refuses, and how.

mod drip;
mod site;
#[path = "../support/mod.rs"]
mod support;

mod audit;
mod authorize;
mod bearer;
mod check;
mod clients;
mod cors;
mod documents;
mod fuzz;
mod https;
mod introspect;
mod limits;
mod mcp_sessions;
mod mcp_streams;
mod metadata;
mod redirect;
mod register;
mod revoke;
mod settings;
mod streams;
mod token;
mod tools;
mod tools_memory;
mod upgrades;
