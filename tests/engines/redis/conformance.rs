//! The conformance kit, on one server and on a Cluster.

use mcp_token_lifecycle::conformance::Suite;

use crate::servers::{CLUSTER, LONG, SINGLE, store};

fn conforms(variable: &'static str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let suite = Suite::new(move || store(variable)).with_block_on(move |future| runtime.block_on(future));
    // On a busy machine every write takes its time.
    let report = suite.with_time_limit(10 * LONG).run();
    println!("{report}");
    report.assert_ok();
}

#[test]
fn redis_store_conforms_on_one_server() {
    conforms(SINGLE);
}

#[test]
fn redis_store_conforms_on_a_cluster() {
    conforms(CLUSTER);
}
