//! A second implementation of the access token, from its description and with another AEAD.

use mcp_token_lifecycle::FamilyId;

use crate::support::forge::AccessForge;
use crate::vector::Vector;

/// The access token of `vector`, which lives for half an hour.
pub fn access_token(vector: &Vector) -> String {
    let (grant, issued_at) = (vector.grant(), vector.number("issued_at"));
    let forge = AccessForge {
        master: vector.bytes("master_key"),
        key_id: vector.number("key_id") as u32,
        nonce: vector.bytes("nonce"),
        family: FamilyId::from_bytes(vector.bytes("family_id")),
        generation: 1,
        issued_at,
        expires_at: issued_at + 1800,
        subject: grant.subject().to_owned(),
        client_id: grant.client_id().to_owned(),
        scope: grant.scope().to_string(),
        audience: grant.resources().iter().map(ToString::to_string).collect(),
        sealed_for: None,
        binding: vector.binding(),
        claims: grant.claims().clone().into_iter().collect(),
    };
    forge.token()
}
