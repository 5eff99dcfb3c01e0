//! From no credential to one: the authorization that begins, the callback that completes it, and what is refused.

#[path = "../credentials/sim.rs"]
#[allow(dead_code, reason = "another test binary uses the rest")]
mod sim;
#[path = "../../support/mod.rs"]
mod support;
mod world;

mod flow;
mod links;
mod outages;
mod over_http;
mod refusals;
mod secrets;
mod server;
