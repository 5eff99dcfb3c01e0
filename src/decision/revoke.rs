//! A family is revoked: by one of its tokens (RFC 7009), by session, by subject, by client, or for reuse.

use super::context::Context;
use super::outcome::Decision;
use crate::audit::{Action, AuditEvent, Reason, RevocationReason};
use crate::family::{Status, TokenFamily};
use crate::grant::{Binding, Client, ClientKind};

/// Revoke `family` for `reason`. One that is revoked already stays as it is.
pub fn revoke(family: &TokenFamily, reason: RevocationReason, cx: &Context<'_>) -> Decision<()> {
    if let Status::Revoked { reason, .. } = family.status {
        return Decision::refuse((), family, Reason::Revoked(reason), cx.now);
    }
    let revoked = TokenFamily { status: Status::Revoked { at: cx.now, reason }, ..family.clone() };
    let event = AuditEvent::on_family(cx.now, Action::Revoke(reason), &revoked);
    Decision { write: Some(revoked), verdict: (), event: Some(event) }
}

/// Revoke `family` because `client` presented one of its genuine tokens, of whatever generation and age.
///
/// A family with a sender constraint is revoked only with the proof, since a copied token alone must not change anything; or
/// by a confidential client, which has proved that it is the one (RFC 7009 §2.1).
/// A fingerprint is not asked for: whoever logs out from another network still logs out.
pub fn revoke_by_token(
    family: &TokenFamily,
    client: &Client,
    binding: Option<&Binding>,
    cx: &Context<'_>,
) -> Decision<()> {
    let required = family.binding.filter(|b| b.is_sender_constraint() && client.kind() == ClientKind::Public);
    if client.id() != family.grant.client_id() {
        Decision::refuse((), family, Reason::WrongClient, cx.now)
    } else if !Binding::satisfies(binding, required.as_ref()) {
        Decision::refuse((), family, Reason::WrongBinding, cx.now)
    } else {
        revoke(family, RevocationReason::Token, cx)
    }
}
