//! The revocation of a family: by one of its tokens (RFC 7009), by session, subject or client, or after reuse.

use super::context::Context;
use super::outcome::Decision;
use crate::audit::{Action, AuditEvent, Reason, RevocationReason};
use crate::family::{Status, TokenFamily};
use crate::grant::{Binding, Client, ClientKind};

/// Revokes `family` for `reason`. A family that is revoked already is left unchanged, and a denial is reported.
pub fn revoke(family: &TokenFamily, reason: RevocationReason, cx: &Context<'_>) -> Decision<()> {
    if let Status::Revoked { reason, .. } = family.status {
        return Decision::refuse((), family, Reason::Revoked(reason), cx.now);
    }
    let revoked = TokenFamily { status: Status::Revoked { at: cx.now, reason }, ..family.clone() };
    let event = AuditEvent::on_family(cx.now, Action::Revoke(reason), &revoked);
    Decision { write: Some(revoked), verdict: (), event: Some(event) }
}

/// Revokes `family` because `client` presented one of its genuine tokens, of any generation and age.
///
/// A public client must prove the sender constraint of a family that has one, because a copied token alone must not
/// change anything. A confidential client has proved its identity and need not (RFC 7009 §2.1). A fingerprint is not
/// required: a user who logs out from another network is still logged out.
pub fn revoke_by_token(
    family: &TokenFamily,
    client: &Client,
    binding: Option<&Binding>,
    cx: &Context<'_>,
) -> Decision<()> {
    let required = family.binding().filter(|b| b.is_sender_constraint() && client.kind() == ClientKind::Public);
    if client.id() != family.grant.client_id() {
        Decision::refuse((), family, Reason::WrongClient, cx.now)
    } else if !Binding::satisfies(binding, required) {
        Decision::refuse((), family, Reason::WrongBinding, cx.now)
    } else {
        revoke(family, RevocationReason::Token, cx)
    }
}
