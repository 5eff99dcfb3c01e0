//! `RedisStore` on real servers: `.ci/redis` starts them and runs this.

#[path = "../../support/mod.rs"]
mod support;

mod conformance;
mod cut;
mod failover;
mod killed;
mod load;
mod processes;
mod races;
mod replicas;
mod rows;
mod sentinel;
mod servers;
