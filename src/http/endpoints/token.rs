//! `/token`: exchanges a code or a refresh token for tokens (OAuth 2.1 §3.2).

use http::StatusCode;
use http::request::Parts;

use super::client_auth::{Authenticated, NO_CLIENT, authenticate};
use crate::audit::{ErrorCode, HttpEndpoint, Reason};
use crate::http::server::AuthorizationServer;
use crate::http::wire::params::Params;
use crate::http::wire::reply::{Refusal, Reply, json};
use crate::messages::{ErrorResponse, RedeemRequest, RefreshRequest};
use crate::store::TokenStore;

impl<S: TokenStore> AuthorizationServer<S> {
    /// Answers a request to the token endpoint.
    pub(in crate::http) async fn token(&self, parts: &Parts, body: &[u8]) -> Result<Reply, Refusal> {
        let params = Params::of_form(parts, body)?;
        let grant_type = params.require("grant_type", "grant_type is required")?;
        if !matches!(grant_type, "authorization_code" | "refresh_token") {
            let refusal = Refusal::from(ErrorResponse::new(ErrorCode::UnsupportedGrantType));
            return Err(refusal.because(Reason::UnsupportedGrantType, None));
        }
        let caller = authenticate(&parts.headers, &params, &*self.config.clients).await?;
        let Authenticated { client, registration } = caller.ok_or(NO_CLIENT)?;
        let (scope, binding) = (params.scope(), self.config.binding(parts));
        let answer = if grant_type == "refresh_token" {
            let token = params.require("refresh_token", "refresh_token is required")?;
            let request = RefreshRequest::new(&client, token).scope(scope.as_deref()).resources(params.all("resource"));
            self.issuer.refresh(&request.binding(binding)).await?
        } else {
            let code = params.require("code", "code is required")?;
            let verifier = params.require("code_verifier", "code_verifier is required")?;
            let request = RedeemRequest::new(&client, code, params.get("redirect_uri"), verifier);
            let request = request.scope(scope.as_deref()).resources(params.all("resource"));
            self.issuer.redeem(&request.binding(binding)).await?
        };
        let mut tokens = answer.into_result()?;
        self.note_use(HttpEndpoint::Token, &registration).await;
        tokens.expires_in = advertised_lifetime(tokens.expires_in);
        Ok(json(StatusCode::OK, &tokens))
    }
}

/// The lifetime in seconds that the token response states, for a token that lives for `lifetime`.
///
/// A client counts from when it receives the response. By then the token is older, by the transport and by up to a
/// second of this server's clock, and the request that presents the token takes time too. A client that finds a token
/// refused before its stated expiry may ask the user to log in again instead of refreshing. So the response states 5
/// seconds less, but at most a twentieth less (RFC 6749 §5.1: `expires_in` is the lifetime of the token).
fn advertised_lifetime(lifetime: u64) -> u64 {
    lifetime - (lifetime / 20).min(5)
}

#[cfg(test)]
mod tests {
    use super::advertised_lifetime;

    /// spec: RFC 6749 §5.1
    #[test]
    fn advertised_lifetime_is_short_by_a_twentieth_at_most() {
        for (lifetime, advertised) in [(1, 1), (3, 3), (5, 5), (19, 19), (20, 19), (60, 57), (100, 95), (1800, 1795)] {
            assert_eq!(advertised_lifetime(lifetime), advertised);
        }
        // Never zero, which a client would take for expired or unknown.
        assert!(
            (1..=3600).all(|lifetime| (lifetime - lifetime / 20..=lifetime).contains(&advertised_lifetime(lifetime)))
        );
    }
}
