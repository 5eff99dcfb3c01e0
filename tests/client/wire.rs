//! The refresh and the revocation over HTTP, as an application would have them.

use mcp_token_lifecycle::BoxFuture;
use mcp_token_lifecycle::vault::{
    Credential, CredentialStatus, Refreshed, Revocation, SecretText, TokenSet, UpstreamError, UpstreamProvider,
};
use serde_json::Value;

use super::support::seconds;

pub struct Wire {
    http: reqwest::Client,
    url: String,
}

impl Wire {
    pub fn new(url: &str) -> Self {
        Self { http: reqwest::Client::new(), url: url.to_owned() }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<(u16, Value), UpstreamError> {
        let sent = self.http.post(format!("{}{path}", self.url)).form(fields).send().await;
        let answer = sent.map_err(|error| match error.is_connect() {
            true => UpstreamError::unavailable(error),
            false => UpstreamError::uncertain(error),
        })?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(UpstreamError::uncertain)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

impl UpstreamProvider for Wire {
    fn refresh<'a>(&'a self, tokens: &'a TokenSet) -> BoxFuture<'a, Result<Refreshed, UpstreamError>> {
        Box::pin(async {
            let refresh_token = tokens.refresh_token.as_ref().expect("a refresh token").expose();
            let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
            match self.post("/token", &fields).await? {
                (200, body) => {
                    let text = |name: &str| body[name].as_str().map(SecretText::new);
                    let lost = || UpstreamError::uncertain("there is no token in the answer");
                    let refreshed = Refreshed::new(text("access_token").ok_or_else(lost)?);
                    let refreshed = refreshed.refresh_token(text("refresh_token").ok_or_else(lost)?);
                    Ok(refreshed.expires_in(seconds(body["expires_in"].as_u64().ok_or_else(lost)?)))
                }
                (400, body) if body["error"] == "invalid_grant" => Err(UpstreamError::InvalidGrant),
                (status, _) => Err(UpstreamError::unavailable(format!("status {status}"))),
            }
        })
    }

    fn revoke<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Revocation, UpstreamError>> {
        Box::pin(async move {
            let Credential::OAuth(tokens) = credential else { return Ok(Revocation::Unsupported) };
            let refresh_token = tokens.refresh_token.as_ref().expect("a refresh token").expose();
            match self.post("/revoke", &[("token", refresh_token)]).await? {
                (200, _) => Ok(Revocation::Done),
                (status, _) => Err(UpstreamError::unavailable(format!("status {status}"))),
            }
        })
    }

    fn introspect<'a>(&'a self, _: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
        Box::pin(async { Ok(CredentialStatus::Unknown) })
    }
}
