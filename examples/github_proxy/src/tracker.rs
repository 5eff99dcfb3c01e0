//! Simulates a ticket system that identifies its users by API keys. A key does not expire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::services::{lock, secret};

/// The users, by their keys.
#[derive(Default)]
pub struct Tracker(Mutex<HashMap<String, &'static str>>);

impl Tracker {
    /// Creates a key for the user.
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
