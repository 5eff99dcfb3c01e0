//! The redemption of an authorization code at the token endpoint (OAuth 2.1 §4.1.3): the rotation from generation 0 to
//! 1.

use super::context::Context;
use super::outcome::Decision;
use super::request_context::RequestContext;
use super::rotation::Presentation;
use crate::audit::Reason;
use crate::crypto::redacted::redacted;
use crate::family::TokenFamily;
use crate::token::VerifiedToken;

/// What a client proves when it redeems a code.
#[derive(Clone, Copy)]
pub struct Redemption<'a> {
    /// The PKCE code verifier (RFC 7636 §4.5).
    pub code_verifier: &'a str,
    /// The redirect URI, if the client sent one. It must be the one of the authorization request.
    pub redirect_uri: Option<&'a str>,
}

redacted!(Redemption<'_>);

/// Decides on the redemption of `code`, which was authenticated against `family`.
///
/// The code verifier and the redirect URI count as part of the binding. A request with a wrong one neither spends the
/// code nor ends a session by presenting a code that was redeemed. A second redemption with the right ones is reuse and
/// revokes the tokens that the first one led to (OAuth 2.1 §4.1.3), unless the policy has a retry window for codes.
pub fn redeem(
    family: &TokenFamily,
    code: &VerifiedToken,
    proof: &Redemption<'_>,
    ask: &RequestContext<'_>,
    cx: &Context<'_>,
) -> Decision {
    let matches = match &family.code {
        None => Err(Reason::CodeExpired),
        Some(check) if !check.matches_verifier(proof.code_verifier) => Err(Reason::WrongVerifier),
        Some(check) if !proof.redirect_uri.is_none_or(|uri| check.matches_redirect(uri)) => Err(Reason::WrongRedirect),
        Some(_) => Ok(()),
    };
    Presentation::new(family, code, ask, cx).decide(ask.may_present(family).and(matches))
}
