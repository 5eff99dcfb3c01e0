//! A local server that implements the part of Vault's HTTP API that the example uses, with one Transit key of the type
//! `chacha20-poly1305`.

use std::sync::{Arc, Mutex};

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const TOKEN: &str = "hvs.example";
pub const KEY: &str = "mcp-credentials";

/// The state of the server. Key versions are numbered from 1; versions below `min_decryption_version` do not decrypt.
struct Vault {
    versions: Vec<[u8; 32]>,
    min_decryption_version: usize,
    sealed: bool,
}

type Shared = Arc<Mutex<Vault>>;
type Answer = Result<Json<Value>, Refusal>;

struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "errors": [self.1] }))).into_response()
    }
}

fn invalid(why: &'static str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

/// Starts the server on a free loopback port and returns the base URL of its API.
pub async fn start() -> std::io::Result<String> {
    let vault = Arc::new(Mutex::new(Vault { versions: vec![random()], min_decryption_version: 1, sealed: false }));
    let app = Router::new()
        .route("/v1/transit/keys/{name}", get(read))
        .route("/v1/transit/keys/{name}/rotate", post(rotate))
        .route("/v1/transit/keys/{name}/config", post(configure))
        .route("/v1/transit/encrypt/{name}", post(encrypt))
        .route("/v1/transit/decrypt/{name}", post(decrypt))
        .route("/v1/sys/seal", put(seal))
        .layer(from_fn_with_state(vault.clone(), admit))
        .with_state(vault);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/v1", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(address)
}

async fn admit(State(vault): State<Shared>, request: Request, next: Next) -> Result<Response, Refusal> {
    if vault.lock().unwrap().sealed {
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "Vault is sealed"));
    }
    match request.headers().get("x-vault-token") {
        Some(token) if token == TOKEN => Ok(next.run(request).await),
        _ => Err(Refusal(StatusCode::FORBIDDEN, "permission denied")),
    }
}

async fn read(State(vault): State<Shared>, Path(name): Path<String>) -> Answer {
    if name != KEY {
        return Err(Refusal(StatusCode::NOT_FOUND, ""));
    }
    Ok(describe(&vault.lock().unwrap()))
}

async fn rotate(State(vault): State<Shared>) -> Json<Value> {
    let mut vault = vault.lock().unwrap();
    vault.versions.push(random());
    describe(&vault)
}

async fn configure(State(vault): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    let mut vault = vault.lock().unwrap();
    if let Some(version) = body["min_decryption_version"].as_u64() {
        vault.min_decryption_version = version as usize;
    }
    describe(&vault)
}

async fn seal(State(vault): State<Shared>) -> StatusCode {
    vault.lock().unwrap().sealed = true;
    StatusCode::NO_CONTENT
}

fn describe(vault: &Vault) -> Json<Value> {
    Json(json!({ "data": {
        "name": KEY,
        "type": "chacha20-poly1305",
        "latest_version": vault.versions.len(),
        "min_decryption_version": vault.min_decryption_version,
    } }))
}

async fn encrypt(State(vault): State<Shared>, Path(name): Path<String>, Json(body): Json<Value>) -> Answer {
    let vault = vault.lock().unwrap();
    let (true, Some(key)) = (name == KEY, vault.versions.last()) else {
        return Err(invalid("encryption key not found"));
    };
    let (nonce, mut text, ad) = (random::<12>(), field(&body, "plaintext")?, field(&body, "associated_data")?);
    let tag = ChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(&nonce.into(), &ad, text.as_mut_slice().into())
        .map_err(|_| invalid("plaintext too long"))?;
    let sealed = BASE64_STANDARD.encode([&nonce[..], &text, &tag].concat());
    let version = vault.versions.len();
    Ok(Json(json!({ "data": { "ciphertext": format!("vault:v{version}:{sealed}"), "key_version": version } })))
}

async fn decrypt(State(vault): State<Shared>, Path(name): Path<String>, Json(body): Json<Value>) -> Answer {
    let vault = vault.lock().unwrap();
    if name != KEY {
        return Err(invalid("encryption key not found"));
    }
    let ciphertext = body["ciphertext"].as_str().and_then(|text| text.strip_prefix("vault:v"));
    let (version, sealed) =
        ciphertext.and_then(|text| text.split_once(':')).ok_or(invalid("invalid ciphertext: no prefix"))?;
    let version: usize =
        version.parse().map_err(|_| invalid("invalid ciphertext: version number could not be decoded"))?;
    if version < vault.min_decryption_version {
        return Err(invalid("ciphertext or signature version is disallowed by policy (too old)"));
    }
    let key = version
        .checked_sub(1)
        .and_then(|at| vault.versions.get(at))
        .ok_or(invalid("invalid ciphertext: version is too new"))?;
    let sealed = BASE64_STANDARD.decode(sealed).map_err(|_| invalid("invalid ciphertext: could not decode base64"))?;
    let parts =
        sealed.split_first_chunk::<12>().and_then(|(nonce, rest)| Some((nonce, rest.split_last_chunk::<16>()?)));
    let (nonce, (text, tag)) = parts.ok_or(invalid("invalid ciphertext length"))?;
    let (mut text, ad) = (text.to_vec(), field(&body, "associated_data")?);
    ChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(&(*nonce).into(), &ad, text.as_mut_slice().into(), &(*tag).into())
        .map_err(|_| invalid("cipher: message authentication failed"))?;
    Ok(Json(json!({ "data": { "plaintext": BASE64_STANDARD.encode(text) } })))
}

fn field(body: &Value, name: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_STANDARD.decode(body[name].as_str().unwrap_or_default()).map_err(|_| invalid("failed to base64-decode"))
}
