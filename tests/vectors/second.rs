//! A second implementation of the access token, from its description and with another AEAD.

use base64ct::{Base64UrlUnpadded, Encoding};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use mcp_token_lifecycle::{Binding, Resource};
use sha2::Sha256;

use crate::vector::Vector;

/// The access token of `vector`, which lives for half an hour.
pub fn access_token(vector: &Vector) -> String {
    let (grant, issued_at) = (vector.grant(), vector.number("issued_at"));
    let audience = grant.resources().iter().map(Resource::as_str).collect::<Vec<_>>().join(" ");
    let texts = [grant.subject(), grant.client_id(), grant.scope().as_str(), &audience];
    let mut claims = vector.bytes::<16>("family_id").to_vec();
    [1, issued_at, issued_at + 1800].iter().for_each(|number| claims.extend(number.to_be_bytes()));
    texts.iter().for_each(|text| claims.extend((text.len() as u16).to_be_bytes()));
    match vector.binding() {
        Some(Binding::DpopKey(thumbprint)) => claims.extend([&[1, 0], &thumbprint[..]].concat()),
        Some(other) => panic!("no vector has {other:?}"),
        None => claims.push(0),
    }
    texts.iter().for_each(|text| claims.extend(text.as_bytes()));
    claims.extend(Some(grant.claims().len() as u8).filter(|count| *count > 0));
    for text in grant.claims().iter().flat_map(|(name, value)| [name, value]) {
        claims.push(text.len() as u8);
        claims.extend(text.as_bytes());
    }

    let mut header = vec![1];
    header.extend((vector.number("key_id") as u32).to_be_bytes());
    let ad = [&b"mcpat_"[..], &header].concat();
    let mut key = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(Some(b"mcp-token-lifecycle v1"), &vector.bytes::<32>("master_key"));
    hkdf.expand(b"access", &mut key).unwrap();
    let nonce: [u8; 24] = vector.bytes("nonce");
    let sealed =
        XChaCha20Poly1305::new(&key.into()).encrypt(&nonce.into(), Payload { msg: &claims, aad: &ad }).unwrap();
    format!("mcpat_{}", Base64UrlUnpadded::encode_string(&[&header[..], &nonce, &sealed].concat()))
}
