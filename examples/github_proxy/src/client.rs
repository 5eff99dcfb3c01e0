//! A user's MCP client. It keeps every answer that it gets, whole.

use std::sync::Mutex;

use mcp_token_lifecycle::TokenResponse;
use serde_json::{Value, json};

use super::services::lock;
use super::setup::Result;

pub struct Client {
    pub user: &'static str,
    pub tokens: TokenResponse,
    http: reqwest::Client,
    answers: Mutex<Vec<String>>,
}

impl Client {
    pub const ID: &str = "laptop-app";

    /// As the MCP server knows it.
    pub fn identity() -> mcp_token_lifecycle::Client {
        mcp_token_lifecycle::Client::public(Self::ID)
    }

    pub fn new(user: &'static str, tokens: TokenResponse) -> Self {
        Self { user, tokens, http: reqwest::Client::new(), answers: Mutex::default() }
    }

    /// Call a tool of the server at `url`; returns what it says, be it a refusal.
    pub async fn call(&self, url: &str, tool: &str, arguments: Value) -> Result<String> {
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = self.http.post(url).bearer_auth(self.tokens.access_token.expose()).json(&message);
        let answer = request.header("accept", "application/json, text/event-stream").send().await?;
        let head = format!("{} {:?}", answer.status(), answer.headers());
        let body = answer.text().await?;
        lock(&self.answers).push(format!("{head} {body}"));
        let message: Value = serde_json::from_str(&body)?;
        Ok(message["result"]["content"][0]["text"].as_str().ok_or("the tool said nothing")?.to_owned())
    }

    /// Every answer so far: status, headers, body.
    pub fn answers(&self) -> Vec<String> {
        lock(&self.answers).clone()
    }
}
