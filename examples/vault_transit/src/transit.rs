//! Implements `KeyWrapper` with Vault's Transit engine. The key that wraps the data keys never leaves Vault.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mcp_token_lifecycle::BoxFuture;
use mcp_token_lifecycle::vault::{DataKey, KeyWrapper, SecretText, WrapError, WrappedKey};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

/// A client for the key `name` of the Transit engine at `address`, for example `https://vault.example.com:8200/v1/transit`.
pub struct Transit {
    http: Client,
    address: String,
    name: String,
    token: SecretText,
}

impl Transit {
    pub fn new(address: &str, name: &str, token: SecretText) -> Result<Self, reqwest::Error> {
        // During an outage a request must fail with an error instead of waiting without end.
        let http = Client::builder().timeout(Duration::from_secs(5)).build()?;
        Ok(Self { http, address: address.to_owned(), name: name.to_owned(), token })
    }

    async fn post(&self, act: &str, body: Value) -> Result<Value, WrapError> {
        data_of(self.http.post(format!("{}/{act}/{}", self.address, self.name)).json(&body), &self.token).await
    }
}

/// The key version is the key id, so a rotation in Vault changes the primary.
impl KeyWrapper for Transit {
    fn primary(&self) -> BoxFuture<'_, Result<String, WrapError>> {
        Box::pin(async {
            let key = data_of(self.http.get(format!("{}/keys/{}", self.address, self.name)), &self.token).await?;
            Ok(key["latest_version"].as_u64().ok_or_else(malformed)?.to_string())
        })
    }

    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a [u8]) -> BoxFuture<'a, Result<WrappedKey, WrapError>> {
        let body = json!({ "plaintext": BASE64_STANDARD.encode(key.as_bytes()), "associated_data": BASE64_STANDARD.encode(context) });
        Box::pin(async move {
            let answer = self.post("encrypt", body).await?;
            let version = answer["key_version"].as_u64().ok_or_else(malformed)?;
            let ciphertext = answer["ciphertext"].as_str().ok_or_else(malformed)?;
            Ok(WrappedKey::new(version.to_string(), ciphertext.into()))
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, context: &'a [u8]) -> BoxFuture<'a, Result<DataKey, WrapError>> {
        Box::pin(async move {
            let ciphertext = str::from_utf8(wrapped.as_bytes()).map_err(|_| WrapError::Corrupt)?;
            let body = json!({ "ciphertext": ciphertext, "associated_data": BASE64_STANDARD.encode(context) });
            let answer = self.post("decrypt", body).await?;
            let mut key = [0; 32];
            match BASE64_STANDARD.decode_slice(answer["plaintext"].as_str().ok_or_else(malformed)?, &mut key) {
                Ok(32) => Ok(DataKey::from_bytes(key)),
                _ => Err(WrapError::Corrupt),
            }
        })
    }
}

/// Sends a request and returns the `data` of the response. An error of Vault becomes the matching `WrapError`.
pub async fn data_of(request: RequestBuilder, token: &SecretText) -> Result<Value, WrapError> {
    let response = request.header("X-Vault-Token", token.expose()).send().await.map_err(WrapError::unavailable)?;
    let status = response.status();
    let mut answer: Value = response.json().await.map_err(WrapError::unavailable)?;
    match answer["errors"][0].as_str() {
        None if status.is_success() => Ok(answer["data"].take()),
        Some("cipher: message authentication failed") => Err(WrapError::Corrupt),
        Some(
            "encryption key not found"
            | "ciphertext or signature version is disallowed by policy (too old)"
            | "invalid ciphertext: version is too new",
        ) => Err(WrapError::UnknownKey),
        Some(error) if error.starts_with("invalid ciphertext") => Err(WrapError::Corrupt),
        // For example 403 (the token has expired) or 503 (Vault is sealed). The wrapped key itself is intact.
        other => Err(WrapError::unavailable(format!("{status}: {}", other.unwrap_or("no reason given")))),
    }
}

fn malformed() -> WrapError {
    WrapError::unavailable("the response does not have the format of the Transit engine")
}
