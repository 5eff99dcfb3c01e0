//! An authorization code is presented at the token endpoint (OAuth 2.1 §4.1.3): rotation 0 → 1.

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
    /// The redirect URI, if the client sent it again: it must be that of the authorization request.
    pub redirect_uri: Option<&'a str>,
}

redacted!(Redemption<'_>);

/// Decide on the redemption of `code`, which was authenticated against `family`.
///
/// Verifier and redirect URI count as part of the binding: without them a request neither spends a code nor ends a session by
/// replaying one here. With them a second redemption is reuse and ends what the first led to (OAuth 2.1 §4.1.3), unless the
/// policy has a retry window for codes.
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
