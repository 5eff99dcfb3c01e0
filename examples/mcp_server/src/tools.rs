//! The MCP server itself: two tools that know the user by the claims of the access token, and never see the token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::request::Parts;
use mcp_token_lifecycle::AccessClaims;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::{ErrorData, tool, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;

/// Notes by the subject who wrote them. They are in memory: what lasts is who may read and write them.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<HashMap<String, Vec<String>>>>);

#[derive(Deserialize, JsonSchema)]
struct Note {
    /// What to write down.
    text: String,
}

#[tool_router(server_handler)]
impl Notes {
    #[tool(description = "Says who you are", annotations(read_only_hint = true))]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> Result<String, ErrorData> {
        let claims = claims(&parts)?;
        Ok(format!("You are {} ({}), here with the scope {}.", name(claims), claims.subject(), claims.scope()))
    }

    #[tool(description = "Writes down a note")]
    async fn add_note(
        &self,
        Extension(parts): Extension<Parts>,
        Parameters(Note { text }): Parameters<Note>,
    ) -> Result<String, ErrorData> {
        let claims = claims(&parts)?;
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let notes = notes.entry(claims.subject().to_owned()).or_default();
        notes.push(text);
        Ok(format!("Written down, {}. Notes so far: {}.", name(claims), notes.len()))
    }
}

/// What the bearer layer put in the place of the token.
fn claims(parts: &Parts) -> Result<&AccessClaims, ErrorData> {
    parts.extensions.get().ok_or_else(|| ErrorData::internal_error("this server is not protected", None))
}

fn name(claims: &AccessClaims) -> &str {
    claims.claims().get("name").map_or("whoever you are", String::as_str)
}
