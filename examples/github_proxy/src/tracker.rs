//! A ticket system that knows its users by a key, which stays as it is until somebody replaces it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::services::{lock, secret};

/// Users by their keys.
#[derive(Default)]
pub struct Tracker(Mutex<HashMap<String, &'static str>>);

impl Tracker {
    /// The user makes a key, to be pasted where it is asked for.
    pub fn make_key(&self, user: &'static str) -> String {
        let key = secret("trk");
        lock(&self.0).insert(key.clone(), user);
        key
    }

    pub fn keys(&self) -> Vec<String> {
        lock(&self.0).keys().cloned().collect()
    }

    pub fn router(self: Arc<Self>) -> Router {
        Router::new().route("/tickets", get(tickets)).with_state(self)
    }
}

async fn tickets(State(tracker): State<Arc<Tracker>>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    let key = headers.get("x-api-key").and_then(|key| key.to_str().ok()).ok_or(StatusCode::UNAUTHORIZED)?;
    let user = lock(&tracker.0).get(key).copied().ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(Json(json!([{ "name": format!("{user}-1") }, { "name": format!("{user}-2") }])))
}
