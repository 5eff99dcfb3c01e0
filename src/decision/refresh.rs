//! A refresh token is presented at the token endpoint (RFC 6749 §6, OAuth 2.1 §4.3).

use super::rotation::{Ask, Presentation};
use super::{Context, Decision};
use crate::family::TokenFamily;
use crate::token::Genuine;

/// Decide on a refresh with `token`, which was authenticated against `family`.
pub fn refresh(family: &TokenFamily, token: &Genuine, ask: &Ask<'_>, cx: &Context<'_>) -> Decision {
    Presentation::new(family, token, ask, cx).decide(ask.may_present(family))
}
