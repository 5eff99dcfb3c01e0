//! The presentation of a refresh token at the token endpoint (RFC 6749 §6, OAuth 2.1 §4.3).

use super::context::Context;
use super::outcome::Decision;
use super::request_context::RequestContext;
use super::rotation::Presentation;
use crate::family::TokenFamily;
use crate::token::VerifiedToken;

/// Decides on a refresh with `token`, which was authenticated against `family`.
pub fn refresh(family: &TokenFamily, token: &VerifiedToken, ask: &RequestContext<'_>, cx: &Context<'_>) -> Decision {
    Presentation::new(family, token, ask, cx).decide(ask.may_present(family))
}
