//! `/token`: a code or a refresh token is exchanged for tokens (OAuth 2.1 §3.2).

use http::StatusCode;
use http::request::Parts;

use super::client_auth::{Authenticated, NO_CLIENT, authenticate};
use crate::audit::{ErrorCode, HttpEndpoint, Reason};
use crate::http::server::AuthorizationServer;
use crate::http::wire::params::Params;
use crate::http::wire::reply::{Refusal, Reply, json};
use crate::issuer::{ErrorResponse, RedeemRequest, RefreshRequest};
use crate::store::TokenStore;

impl<S: TokenStore> AuthorizationServer<S> {
    /// The token endpoint.
    pub(in crate::http) async fn token(&self, parts: &Parts, body: &[u8]) -> Result<Reply, Refusal> {
        let params = Params::of_form(parts, body)?;
        let grant_type = params.need("grant_type", "grant_type is missing")?;
        if !matches!(grant_type, "authorization_code" | "refresh_token") {
            let refusal = Refusal::from(ErrorResponse::new(ErrorCode::UnsupportedGrantType));
            return Err(refusal.because(Reason::UnsupportedGrantType, None));
        }
        let caller = authenticate(&parts.headers, &params, &*self.config.clients).await?;
        let Authenticated { client, registration } = caller.ok_or(NO_CLIENT)?;
        let (scope, binding) = (params.scope(), self.config.binding(parts));
        let answer = if grant_type == "refresh_token" {
            let token = params.need("refresh_token", "refresh_token is missing")?;
            let request = RefreshRequest::new(&client, token).scope(scope.as_deref()).resources(params.all("resource"));
            self.issuer.refresh(&request.binding(binding)).await?
        } else {
            let code = params.need("code", "code is missing")?;
            let verifier = params.need("code_verifier", "code_verifier is missing")?;
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

/// The lifetime that the token response names, in seconds, out of the one that its token has.
///
/// A client counts from when it hears of the token, which is a journey and up to a second of this server's clock after the token
/// was issued; the request that then presents it travels as well. A client that finds a token refused although its time is not
/// over may not refresh it and ask its user to log in again. So the response says 5 seconds less, but at most a twentieth: `expires_in` is
/// the lifetime of the token (RFC 6749 §5.1).
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
        // Never nothing: a client would take that for expired, or for unknown.
        assert!(
            (1..=3600).all(|lifetime| (lifetime - lifetime / 20..=lifetime).contains(&advertised_lifetime(lifetime)))
        );
    }
}
