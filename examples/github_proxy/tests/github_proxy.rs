//! The example with two processes on one store, run as its documentation says, on the Redis that `.ci/redis` starts.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut example = Command::new(env!("CARGO_BIN_EXE_github_proxy"));
    example.args(arguments).env_remove("REDIS_URL").output().unwrap()
}

#[test]
fn ten_calls_at_expiry_are_one_refresh_an_offboarding_ends_all_and_no_token_passes_through() {
    let url = std::env::var("REDIS_URL").expect("REDIS_URL is not set: run .ci/redis, which starts the server");
    let output = run(&[&url]);
    let (told, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{error}");
    for line in [
        "✓ GitHub was not asked for new tokens",
        "✓ GitHub was asked for new tokens once",
        "✓ no answer so far had anything of the other user",
        "✓ GitHub was told, once, and has ended her authorization",
        "✓ a purge an hour later her two records are gone from the store",
        "✓ Bob goes on as before",
        "✓ 0 of them have a token of the MCP server",
        "Everything went as told.",
    ] {
        assert_eq!(told.lines().filter(|told| *told == line).count(), 1, "{line}\n{told}");
    }
    assert_eq!(told.matches("10 of 10 calls were served with alice's repositories").count(), 2);
    let refused = told.lines().filter(|line| line.contains("to her access token: there is no credential for"));
    assert_eq!(refused.count(), 4, "two tools in each of two processes");
    assert!(told.contains("answers to the clients have a secret of a service"));
    assert!(!told.contains("mcpat_") && !told.contains("ghu_") && error.is_empty(), "{told}\n{error}");
}

#[test]
fn without_the_address_of_a_store_it_says_what_it_takes() {
    let output = run(&[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("REDIS_URL"), "{error}");
}
