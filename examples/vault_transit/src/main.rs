//! Shows a credential vault whose data keys are wrapped by the Transit engine of HashiCorp Vault, over HTTP.
//!
//! `cargo run -p vault_transit -- --demo` starts a local server that implements the part of Vault's API that the example uses.
//! `cargo run -p vault_transit` does the same unless `VAULT_ADDR` and `VAULT_TOKEN` are set. If they are set, it uses that
//! Vault and rotates its key. Prepare the Vault with:
//!
//! ```text
//! vault secrets enable transit
//! vault write transit/keys/mcp-credentials type=chacha20-poly1305
//! ```
//!
//! The program wraps and unwraps a data key, rotates the key in Vault, and wraps the stored data keys again. With `--demo` it
//! also disables the old key version and seals the server. It prints one line for each check.

mod server;
mod transit;

use std::error::Error;
use std::sync::Arc;

use mcp_token_lifecycle::vault::{
    Account, BoundTo, Credential, CredentialVault, DataKey, KeyWrapper, Runtime, Secret, SecretText, StaticSecret,
    VaultErrorKind, WrapError,
};
use mcp_token_lifecycle::{MemoryStore, Scope};
use reqwest::Client;
use serde_json::json;
use server::KEY;
use transit::{Transit, data_of};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let demo = std::env::args().any(|argument| argument == "--demo");
    let (address, token) = match (std::env::var("VAULT_ADDR"), std::env::var("VAULT_TOKEN")) {
        (Ok(address), Ok(token)) if !demo => (format!("{address}/v1"), token),
        _ => (server::start().await?, server::TOKEN.to_owned()),
    };
    let transit = Arc::new(Transit::new(&format!("{address}/transit"), KEY, SecretText::new(token.clone()))?);

    let wrapped = transit.wrap(&DataKey::from_bytes([7; 32]), b"here").await?;
    println!(
        "The data key is wrapped with key version {}: {}",
        wrapped.key_id(),
        String::from_utf8_lossy(wrapped.as_bytes())
    );
    expect(transit.unwrap(&wrapped, b"here").await?.as_bytes() == &[7; 32], "Unwrapping returns the same data key.")?;
    let elsewhere = transit.unwrap(&wrapped, b"there").await;
    expect(matches!(elsewhere, Err(WrapError::Corrupt)), "Unwrapping in another context fails.")?;

    let store = Arc::new(MemoryStore::new());
    let open = || {
        let runtime = Runtime::new(tokio::time::sleep, |task| {
            tokio::spawn(task);
        });
        CredentialVault::new(store.clone(), transit.clone(), runtime)
    };
    let vault = open();
    let key = StaticSecret::new(Secret::ApiKey(SecretText::new("the API key of alice")), Scope::parse("repo:read")?);
    vault.put(&Account::new("alice", "github"), Credential::Static(key), BoundTo::subject()).await?;

    let (http, token) = (Client::new(), SecretText::new(token));
    data_of(http.post(format!("{address}/transit/keys/{KEY}/rotate")), &token).await?;
    println!("The key was rotated in Vault. The primary is version {}.", transit.primary().await?);
    println!(
        "{} data keys were wrapped again: the one of alice and the one of the vault's own secret.",
        vault.rewrap().await?
    );

    if demo {
        let old_ends = json!({ "min_decryption_version": 2 });
        data_of(http.post(format!("{address}/transit/keys/{KEY}/config")).json(&old_ends), &token).await?;
        let old = transit.unwrap(&wrapped, b"here").await;
        expect(
            matches!(old, Err(WrapError::UnknownKey)),
            "Vault refuses to unwrap with version 1 after version 1 is disabled.",
        )?;
        expect(open().list("alice").await?.len() == 1, "A new process still reads the credentials of alice.")?;

        http.put(format!("{address}/sys/seal")).header("X-Vault-Token", token.expose()).send().await?;
        let outage = open().list("alice").await.map_err(|error| error.kind());
        expect(
            outage.is_err_and(|kind| kind == VaultErrorKind::KeyUnavailable),
            "A sealed Vault (503) is reported as an unavailable key service.",
        )?;
    }
    Ok(())
}

/// Prints `what` if the check holds, and returns it as an error if not.
fn expect(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds {
        println!("{what}");
        Ok(())
    } else {
        Err(what)
    }
}
