//! Tests the key wrapper of the example over real HTTP: each refusal of Vault maps to the right `WrapError`.

#[path = "../src/server.rs"]
mod server;
#[path = "../src/transit.rs"]
mod transit;

use mcp_token_lifecycle::vault::{DataKey, KeyWrapper, SecretText, WrapError, WrappedKey};
use reqwest::Client;
use serde_json::json;
use server::{KEY, TOKEN};
use transit::{Transit, data_of};

/// A server, and what it has wrapped.
struct Bench {
    address: String,
    wrapped: WrappedKey,
}

impl Bench {
    async fn new() -> Self {
        let address = server::start().await.unwrap();
        let wrapped = at(&address, KEY, TOKEN).wrap(&DataKey::from_bytes([7; 32]), b"here").await.unwrap();
        Self { address, wrapped }
    }

    async fn unwrap(&self, wrapped: &WrappedKey, context: &[u8]) -> Result<[u8; 32], WrapError> {
        at(&self.address, KEY, TOKEN).unwrap(wrapped, context).await.map(|key| *key.as_bytes())
    }

    async fn administer(&self, path: &str, body: serde_json::Value) {
        let request = Client::new().post(format!("{}/transit/keys/{KEY}/{path}", self.address)).json(&body);
        data_of(request, &SecretText::new(TOKEN)).await.unwrap();
    }
}

fn at(address: &str, key: &str, token: &str) -> Transit {
    Transit::new(&format!("{address}/transit"), key, SecretText::new(token)).unwrap()
}

#[tokio::test]
async fn unwrap_in_another_context_is_corrupt() {
    let bench = Bench::new().await;
    assert_eq!(bench.unwrap(&bench.wrapped, b"here").await.unwrap(), [7; 32]);
    assert!(matches!(bench.unwrap(&bench.wrapped, b"there").await, Err(WrapError::Corrupt)));
}

#[tokio::test]
async fn unwrap_of_altered_wrapped_key_is_corrupt() {
    let bench = Bench::new().await;
    let text = String::from_utf8(bench.wrapped.as_bytes().to_vec()).unwrap();
    let flipped = if text.ends_with('A') { "B" } else { "A" };
    for altered in [&text[..text.len() - 1], "vault:v1", "vault:v1:", &format!("{}{flipped}", &text[..text.len() - 1])]
    {
        let altered = WrappedKey::new("1", altered.into());
        assert!(matches!(bench.unwrap(&altered, b"here").await, Err(WrapError::Corrupt)), "{altered:?}");
    }
    let no_text = WrappedKey::new("1", vec![0xff]);
    assert!(matches!(bench.unwrap(&no_text, b"here").await, Err(WrapError::Corrupt)));
}

#[tokio::test]
async fn key_id_is_vault_version_and_disabled_version_is_unknown() {
    let bench = Bench::new().await;
    let wrapper = at(&bench.address, KEY, TOKEN);
    assert_eq!((bench.wrapped.key_id(), &*wrapper.primary().await.unwrap()), ("1", "1"));
    bench.administer("rotate", json!({})).await;
    assert_eq!(wrapper.primary().await.unwrap(), "2");
    assert!(bench.unwrap(&bench.wrapped, b"here").await.is_ok());
    bench.administer("config", json!({ "min_decryption_version": 2 })).await;
    assert!(matches!(bench.unwrap(&bench.wrapped, b"here").await, Err(WrapError::UnknownKey)));
    let from_elsewhere = String::from_utf8_lossy(bench.wrapped.as_bytes()).replace(":v1:", ":v9:");
    let from_elsewhere = WrappedKey::new("9", from_elsewhere.into());
    assert!(matches!(bench.unwrap(&from_elsewhere, b"here").await, Err(WrapError::UnknownKey)));
    let other = at(&bench.address, "other", TOKEN).unwrap(&bench.wrapped, b"here").await;
    assert!(matches!(other, Err(WrapError::UnknownKey)));
}

/// None of these says anything about the data key, so none may end in its loss.
#[tokio::test]
async fn unwrap_with_expired_token_or_sealed_vault_is_unavailable() {
    let bench = Bench::new().await;
    let mut outages = vec![
        at(&bench.address, KEY, "expired").unwrap(&bench.wrapped, b"here").await,
        at("http://127.0.0.1:1/v1", KEY, TOKEN).unwrap(&bench.wrapped, b"here").await,
        at(&format!("{}/no/such/path", bench.address), KEY, TOKEN).unwrap(&bench.wrapped, b"here").await,
    ];
    let seal = Client::new().put(format!("{}/sys/seal", bench.address)).header("X-Vault-Token", TOKEN);
    assert_eq!(seal.send().await.unwrap().status(), 204);
    outages.push(at(&bench.address, KEY, TOKEN).unwrap(&bench.wrapped, b"here").await);
    for outage in outages {
        let Err(WrapError::Unavailable(source)) = outage else { panic!("{outage:?}") };
        assert!(!format!("{source:?}").contains(TOKEN), "{source:?}");
    }
}
