//! `/introspect`: a resource server asks whether a token is active (RFC 7662).

use http::StatusCode;
use http::request::Parts;

use super::client_auth::authenticate;
use crate::audit::{AuditEvent, HttpEndpoint, Reason};
use crate::grant::{Client, ClientKind};
use crate::http::server::AuthorizationServer;
use crate::http::wire::params::Params;
use crate::http::wire::reply::{Refusal, Reply, json};
use crate::messages::IntrospectionResponse;
use crate::store::TokenStore;

impl<S: TokenStore> AuthorizationServer<S> {
    /// Answers a request to the introspection endpoint.
    pub(in crate::http) async fn introspect(&self, parts: &Parts, body: &[u8]) -> Result<Reply, Refusal> {
        let params = Params::of_form(parts, body)?;
        // A client without permission learns nothing, not even whether a token is active (§2.1).
        let caller = authenticate(&parts.headers, &params, &*self.config.clients).await?.map(|caller| caller.client);
        let client = caller.ok_or_else(|| Refusal::InvalidClient.because(Reason::BadRequest, None))?;
        if client.kind() != ClientKind::Confidential || self.introspected_by(&client).next().is_none() {
            return Err(Refusal::InvalidClient.because(Reason::NotAllowed, Some(client.id())));
        }
        let token = params.require("token", "token is required")?;
        let response = self.issuer.introspect(token).await?;
        let response = match response {
            IntrospectionResponse::Access(claims)
                if !self.introspected_by(&client).any(|resource| claims.audience().contains(resource)) =>
            {
                let event =
                    AuditEvent { client_id: Some(client.shared_id()), family: Some(claims.family()), ..self.event() };
                self.refused(HttpEndpoint::Introspect, Reason::WrongAudience, event);
                IntrospectionResponse::Inactive
            }
            IntrospectionResponse::Refresh { .. } => IntrospectionResponse::Inactive,
            response => response,
        };
        Ok(json(StatusCode::OK, &response))
    }

    /// The resources whose tokens `client` may introspect.
    fn introspected_by(&self, client: &Client) -> impl Iterator<Item = &crate::Resource> {
        self.config.introspectors.iter().filter(|(id, _)| id == client.id()).map(|(_, resource)| resource)
    }
}
