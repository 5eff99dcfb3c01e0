//! `/register`: a client registers itself (RFC 7591).

use http::StatusCode;
use http::request::Parts;
use serde_json::json;

use crate::audit::Reason;
use crate::crypto::base64url;
use crate::error::{Error, ErrorKind};
use crate::http::clients::{AuthMethod, ClientMetadata, ClientSecret, MetadataError, RegisteredClient};
use crate::http::server::AuthorizationServer;
use crate::http::wire::params::check_content;
use crate::http::wire::reply::{Refusal, Reply, json};
use crate::store::TokenStore;
use crate::time::Timestamp;

impl<S: TokenStore> AuthorizationServer<S> {
    /// Answers a request to the registration endpoint.
    pub(in crate::http) async fn register(&self, parts: &Parts, body: &[u8]) -> Result<Reply, Refusal> {
        check_content(parts, "application/json", "the content type must be application/json")?;
        // RFC 7591 §2: the default authentication method is HTTP Basic.
        let methods = [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost, AuthMethod::None];
        let metadata = ClientMetadata::from_json(body, &methods, |uri| self.config.private_use.permit(uri))?;
        if !self.config.admit.as_ref().is_some_and(|admit| admit(parts, &metadata)) {
            return Err(MetadataError::NotWanted.into());
        }
        let (secret, client) = match metadata.auth_method {
            AuthMethod::None => (None, RegisteredClient::public(self.public_id(&metadata)?, metadata)),
            _ => {
                let rng = &self.issuer.rng;
                let secret = ClientSecret::random(rng).map_err(Error::from)?;
                let id = client_id(&rng.bytes().map_err(Error::from)?)?;
                let client = RegisteredClient::confidential(id, &secret, metadata);
                (Some(secret), client)
            }
        };
        let mut answer = describe(&client, self.issuer.clock.now());
        let until = self.config.clients.register(client.self_declared()).await?;
        if let Some(secret) = secret {
            answer["client_secret"] = secret.expose().into();
            // Zero means that it does not expire.
            answer["client_secret_expires_at"] = until.unwrap_or_default().as_unix().into();
        }
        Ok(json(StatusCode::CREATED, &answer))
    }

    /// Derives the client id from the metadata, so that a client that registers repeatedly is stored once. The id
    /// covers all of the metadata, so no registration changes what is known under it. The hash is keyed, so that a
    /// reader of the store cannot find out which programs are registered.
    fn public_id(&self, metadata: &ClientMetadata) -> Result<String, Error> {
        client_id(self.issuer.keyring.primary().index("registration", &metadata.canonical()).as_bytes())
    }
}

/// The client id that contains `bytes`.
fn client_id(bytes: &[u8; 16]) -> Result<String, Error> {
    let id = base64url::encode("mcpc_", bytes).map(|id| id.as_str().to_owned());
    id.ok_or_else(|| Error::new(ErrorKind::Entropy))
}

/// The response (RFC 7591 §3.2.1): the registered metadata, without members that have no value.
fn describe(client: &RegisteredClient, now: Timestamp) -> serde_json::Value {
    let metadata = client.metadata();
    let mut answer = json!({
        "client_id": client.id(),
        "client_id_issued_at": now.as_unix(),
        "redirect_uris": metadata.redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": metadata.auth_method.as_str(),
    });
    if let Some(name) = &metadata.name {
        answer["client_name"] = name.as_str().into();
    }
    answer
}

impl From<MetadataError> for Refusal {
    fn from(error: MetadataError) -> Self {
        let reason = match error {
            MetadataError::NotWanted => Reason::RegistrationRefused,
            _ => Reason::ClientMetadata,
        };
        Self::Error(error.code(), error.as_str()).because(reason, None)
    }
}
