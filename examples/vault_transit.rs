//! Data keys wrapped by HashiCorp Vault's Transit engine, over HTTP: `cargo run --example vault_transit --features upstream -- --demo`
//! starts a server that speaks its API, and with `VAULT_ADDR` and `VAULT_TOKEN` set it talks to the Vault there:
//!
//! ```text
//! vault secrets enable transit
//! vault write transit/keys/mcp-credentials type=chacha20-poly1305
//! ```

#[path = "vault_transit/server.rs"]
mod server;
#[path = "vault_transit/transit.rs"]
mod transit;

use std::error::Error;

use mcp_token_lifecycle::upstream::{DataKey, KeyWrapper, SecretText, WrapError};
use reqwest::Client;
use serde_json::json;
use server::KEY;
use transit::{Transit, data_of};

const HERE: &[u8] = b"the credential of alice at github";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let demo = std::env::args().any(|argument| argument == "--demo");
    let (address, token) = match (std::env::var("VAULT_ADDR"), std::env::var("VAULT_TOKEN")) {
        (Ok(address), Ok(token)) if !demo => (format!("{address}/v1"), token),
        _ => (server::start().await?, server::TOKEN.to_owned()),
    };
    let wrapper = Transit::new(&format!("{address}/transit"), KEY, SecretText::new(token.clone()))?;

    let key = DataKey::from_bytes([7; 32]);
    let wrapped = wrapper.wrap(&key, HERE).await?;
    println!("wrapped with version {}: {}", wrapped.key_id(), String::from_utf8_lossy(wrapped.as_bytes()));
    expect(wrapper.unwrap(&wrapped, HERE).await?.as_bytes() == key.as_bytes(), "the same data key comes back")?;
    let elsewhere = wrapper.unwrap(&wrapped, b"the credential of mallory at github").await;
    expect(matches!(elsewhere, Err(WrapError::Corrupt)), "it does not unwrap in another context")?;

    let (http, token) = (Client::new(), SecretText::new(token));
    data_of(http.post(format!("{address}/transit/keys/{KEY}/rotate")), &token).await?;
    let primary = wrapper.primary().await?;
    println!("rotated in Vault: the primary is version {primary}");
    let unwrapped = wrapper.unwrap(&wrapped, HERE).await?;
    let rewrapped = wrapper.wrap(&unwrapped, HERE).await?;
    expect(
        wrapped.key_id() != primary && rewrapped.key_id() == primary,
        "what the old version wrapped is wrapped anew",
    )?;

    if demo {
        let old_ends = json!({ "min_decryption_version": 2 });
        data_of(http.post(format!("{address}/transit/keys/{KEY}/config")).json(&old_ends), &token).await?;
        let old = wrapper.unwrap(&wrapped, HERE).await;
        expect(matches!(old, Err(WrapError::UnknownKey)), "version 1 is switched off, and does not unwrap any more")?;
        expect(wrapper.unwrap(&rewrapped, HERE).await.is_ok(), "version 2 does")?;

        http.put(format!("{address}/sys/seal")).header("X-Vault-Token", token.expose()).send().await?;
        match wrapper.unwrap(&rewrapped, HERE).await {
            Err(WrapError::Unavailable(source)) => println!("sealed: worth another try later ({source})"),
            _ => return Err("a sealed Vault is an outage".into()),
        }
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
