//! The MCP client of one user. It records each response, so that the demonstration can search them for secrets.

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

    /// The identity of the client at the authorization server.
    pub fn identity() -> mcp_token_lifecycle::Client {
        mcp_token_lifecycle::Client::public(Self::ID)
    }

    pub fn new(user: &'static str, tokens: TokenResponse) -> Self {
        Self { user, tokens, http: reqwest::Client::new(), answers: Mutex::default() }
    }

    /// Calls a tool of the server at `url` and returns its text, which is the refusal if the call is refused.
    pub async fn call(&self, url: &str, tool: &str, arguments: Value) -> Result<String> {
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = self.http.post(url).bearer_auth(self.tokens.access_token.expose()).json(&message);
        let answer = request.header("accept", "application/json, text/event-stream").send().await?;
        let head = format!("{} {:?}", answer.status(), answer.headers());
        let body = answer.text().await?;
        lock(&self.answers).push(format!("{head} {body}"));
        let message: Value = serde_json::from_str(&body)?;
        Ok(message["result"]["content"][0]["text"].as_str().ok_or("the tool returned no text")?.to_owned())
    }

    /// All responses so far, each with status, headers and body.
    pub fn answers(&self) -> Vec<String> {
        lock(&self.answers).clone()
    }
}
