//! The example with two processes on one store, run as its documentation says, on the Redis that `.ci/redis` starts.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut example = Command::new(env!("CARGO_BIN_EXE_github_proxy"));
    example.args(arguments).env_remove("REDIS_URL").output().unwrap()
}

#[test]
fn github_proxy_refreshes_once_offboards_and_leaks_no_token() {
    let url = std::env::var("REDIS_URL").expect("REDIS_URL is not set: run .ci/redis, which starts the server");
    let output = run(&[&url]);
    let (printed, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{error}");
    for line in [
        "✓ GitHub received no refresh request before the expiry",
        "✓ GitHub received one refresh request for Alice",
        "✓ no response so far contains data of the other user",
        "✓ GitHub received one revocation request and deleted Alice's authorization",
        "✓ Alice's two records stay, empty and without her name, so that no late write brings a credential back",
        "✓ Bob still gets his repositories and tickets",
        "✓ 0 of them contain a token of the MCP server",
        "All checks passed.",
    ] {
        assert_eq!(printed.lines().filter(|printed| *printed == line).count(), 1, "{line}\n{printed}");
    }
    assert_eq!(printed.matches("10 of 10 calls returned alice's repositories").count(), 2);
    let refused =
        printed.lines().filter(|line| line.contains("refuses Alice's access token: there is no credential for"));
    assert_eq!(refused.count(), 4, "two tools in each of two processes");
    assert!(printed.contains("responses to the clients contain a secret of a service"));
    assert!(!printed.contains("mcpat_") && !printed.contains("ghu_") && error.is_empty(), "{printed}\n{error}");
}

#[test]
fn github_proxy_without_store_url_names_redis_url() {
    let output = run(&[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("REDIS_URL"), "{error}");
}
