//! `TokenManager`: the login of a program that is a client, shared by its processes.

#[path = "../support/mod.rs"]
mod support;

mod child;
mod dropped;
mod files;
mod kills;
mod lifecycle;
mod logout;
mod os;
mod outage;
mod processes;
mod script;
mod seal;
mod server;
mod steps;
mod wire;
