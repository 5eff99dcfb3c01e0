//! A credential vault whose data keys are wrapped by HashiCorp Vault's Transit engine, over HTTP:
//! `cargo run -p vault_transit -- --demo` starts a server that speaks its API. With `VAULT_ADDR` and
//! `VAULT_TOKEN` set, and without `--demo`, it talks to the Vault there:
//!
//! ```text
//! vault secrets enable transit
//! vault write transit/keys/mcp-credentials type=chacha20-poly1305
//! ```

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
    println!("wrapped with version {}: {}", wrapped.key_id(), String::from_utf8_lossy(wrapped.as_bytes()));
    expect(transit.unwrap(&wrapped, b"here").await?.as_bytes() == &[7; 32], "the same data key comes back")?;
    let elsewhere = transit.unwrap(&wrapped, b"there").await;
    expect(matches!(elsewhere, Err(WrapError::Corrupt)), "it does not unwrap in another context")?;

    let store = Arc::new(MemoryStore::new());
    let open = || {
        let runtime = Runtime::new(tokio::time::sleep, |task| {
            tokio::spawn(task);
        });
        CredentialVault::new(store.clone(), transit.clone(), runtime)
    };
    let vault = open();
    let key = StaticSecret::new(Secret::ApiKey(SecretText::new("a key of hers")), Scope::parse("repo:read")?);
    vault.put(&Account::new("alice", "github"), Credential::Static(key), BoundTo::subject()).await?;

    let (http, token) = (Client::new(), SecretText::new(token));
    data_of(http.post(format!("{address}/transit/keys/{KEY}/rotate")), &token).await?;
    println!("rotated in Vault: the primary is version {}", transit.primary().await?);
    println!("{} data keys wrapped anew: hers, and that of the vault's own secret", vault.rewrap().await?);

    if demo {
        let old_ends = json!({ "min_decryption_version": 2 });
        data_of(http.post(format!("{address}/transit/keys/{KEY}/config")).json(&old_ends), &token).await?;
        let old = transit.unwrap(&wrapped, b"here").await;
        expect(matches!(old, Err(WrapError::UnknownKey)), "version 1 is switched off, and unwraps nothing any more")?;
        expect(open().list("alice").await?.len() == 1, "a process that starts now reads what alice has all the same")?;

        http.put(format!("{address}/sys/seal")).header("X-Vault-Token", token.expose()).send().await?;
        let outage = open().list("alice").await.map_err(|error| error.kind());
        expect(outage.is_err_and(|kind| kind == VaultErrorKind::KeyUnavailable), "a sealed Vault is an outage: 503")?;
    }
    Ok(())
}

fn expect(so: bool, what: &'static str) -> Result<(), &'static str> {
    if so {
        println!("{what}");
        Ok(())
    } else {
        Err(what)
    }
}
