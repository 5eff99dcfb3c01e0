//! The HTTP surface over real HTTP: what each endpoint takes, what it refuses, and how.

mod site;
#[path = "../support/mod.rs"]
mod support;

mod authorize;
mod bearer;
mod clients;
mod cors;
mod documents;
mod fuzz;
mod https;
mod introspect;
mod limits;
mod metadata;
mod redirect;
mod register;
mod revoke;
mod settings;
mod token;
mod tools;
mod tools_memory;
