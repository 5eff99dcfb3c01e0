//! The conformance kit, straight and through a pooler.

use mcp_token_lifecycle::conformance::Suite;

use super::{LONG, RUNTIME, direct, fresh, pooled};

fn conforms(url: String) {
    let open = move || {
        let url = url.clone();
        async move { fresh(&url).await }
    };
    let suite = Suite::new(open).with_block_on(|future| RUNTIME.block_on(future));
    // On a busy machine every write takes its time.
    let report = suite.with_time_limit(10 * LONG).run();
    println!("{report}");
    report.assert_ok();
}

#[test]
fn postgres_store_conforms() {
    conforms(direct());
}

#[test]
fn postgres_store_conforms_through_pgbouncer() {
    conforms(pooled());
}
