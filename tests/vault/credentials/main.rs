//! The vault: what it leases and to whom, what it refreshes and how often, what it revokes, and what it never shows.

#[path = "../../support/in_file.rs"]
mod in_file;
mod service;
mod sim;
#[path = "../../support/mod.rs"]
mod support;
mod world;

mod cancellation;
mod cascade;
mod claims;
mod faults;
mod isolation;
mod leasing;
mod outages;
mod races;
mod records;
mod refreshing;
mod refusals;
mod refused;
mod renewals;
mod revoking;
mod secrets;
mod slots;
mod suspended;
mod upkeep;
