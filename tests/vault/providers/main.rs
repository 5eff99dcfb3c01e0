//! The ready provider: what it sends, and what it makes of answers as services give them, which are in `shapes/`.

#[path = "../../support/property.rs"]
mod property;
mod shape;
#[path = "../../support/mod.rs"]
mod support;

mod arbitrary;
mod atlassian;
mod configured;
mod discord;
mod entra;
mod faults;
mod github;
mod gitlab;
mod google;
mod linear;
mod notion;
mod over_http;
mod requests;
mod rotations;
mod salesforce;
mod secrets;
mod slack;
mod values;
mod vault;
