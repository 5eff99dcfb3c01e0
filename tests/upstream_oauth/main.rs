//! The ready provider: what it sends, and what it makes of answers as services give them, which are in `shapes/`.

#[path = "../support/property.rs"]
mod property;
mod shape;
#[path = "../support/mod.rs"]
mod support;

mod arbitrary;
mod faults;
mod github;
mod google;
mod over_http;
mod requests;
mod secrets;
mod slack;
mod values;
mod vault;
