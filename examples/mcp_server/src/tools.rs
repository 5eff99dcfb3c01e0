//! The MCP tools. Each tool reads the user from the claims of the access token and never receives the token itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::request::Parts;
use mcp_token_lifecycle::AccessClaims;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::{ErrorData, tool, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;

/// The notes of each subject. They are kept in memory and are lost at a restart; the sessions are not.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<HashMap<String, Vec<String>>>>);

#[derive(Deserialize, JsonSchema)]
struct Note {
    /// The text of the note.
    text: String,
}

#[tool_router(server_handler)]
impl Notes {
    #[tool(description = "Returns the logged-in user and the granted scopes", annotations(read_only_hint = true))]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> Result<String, ErrorData> {
        let claims = claims(&parts)?;
        Ok(format!(
            "You are {} (user ID {}). The granted scopes are: {}.",
            name(claims),
            claims.subject(),
            claims.scope()
        ))
    }

    #[tool(description = "Saves a note")]
    async fn add_note(
        &self,
        Extension(parts): Extension<Parts>,
        Parameters(Note { text }): Parameters<Note>,
    ) -> Result<String, ErrorData> {
        let claims = claims(&parts)?;
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let notes = notes.entry(claims.subject().to_owned()).or_default();
        notes.push(text);
        Ok(format!("The note of {} is saved. Number of notes: {}.", name(claims), notes.len()))
    }
}

/// Returns the claims that the bearer layer stored in the request.
fn claims(parts: &Parts) -> Result<&AccessClaims, ErrorData> {
    parts.extensions.get().ok_or_else(|| ErrorData::internal_error("the bearer layer is missing", None))
}

fn name(claims: &AccessClaims) -> &str {
    claims.claims().get("name").map_or("an unnamed user", String::as_str)
}
