//! `/revoke`: a client revokes a token (RFC 7009).

use http::StatusCode;
use http::request::Parts;

use super::client_auth::{NO_CLIENT, authenticate};
use crate::http::server::AuthorizationServer;
use crate::http::wire::params::Params;
use crate::http::wire::reply::{Refusal, Reply, empty};
use crate::store::TokenStore;

impl<S: TokenStore> AuthorizationServer<S> {
    /// Answers a request to the revocation endpoint: 200 for any token (§2.2). `token_type_hint` is ignored, because a
    /// token states its type.
    pub(in crate::http) async fn revoke(&self, parts: &Parts, body: &[u8]) -> Result<Reply, Refusal> {
        let params = Params::of_form(parts, body)?;
        let caller = authenticate(&parts.headers, &params, &*self.config.clients).await?.ok_or(NO_CLIENT)?;
        let token = params.require("token", "token is required")?;
        self.issuer.revoke(&caller.client, token, self.config.binding(parts).as_ref()).await?;
        Ok(empty(StatusCode::OK))
    }
}
