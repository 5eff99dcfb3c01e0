//! A second implementation of the tokens, from their descriptions and with another AEAD, for tokens that no issuer would hand out.

use super::rng::{Dry, Fill, system_random};
use std::sync::{Arc, Mutex};

use base64ct::{Base64UrlUnpadded, Encoding};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, Payload};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use mcp_token_lifecycle::{AccessClaims, Binding, FamilyId, Resource, Timestamp};
use sha2::{Digest, Sha256};

/// True randomness that is remembered, and that can run dry.
#[derive(Clone, Default)]
pub struct TestRng(Arc<Mutex<(Vec<Vec<u8>>, bool)>>);

impl TestRng {
    /// The secret of the first family.
    pub fn family_secret(&self) -> [u8; 32] {
        self.family_secrets()[0]
    }

    /// The secret of every family: nothing else is drawn at this length.
    pub fn family_secrets(&self) -> Vec<[u8; 32]> {
        self.0.lock().unwrap().0.iter().filter_map(|drawn| drawn.as_slice().try_into().ok()).collect()
    }

    pub fn run_dry(&self, dry: bool) {
        self.0.lock().unwrap().1 = dry;
    }
}

impl Fill for TestRng {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Dry> {
        let mut state = self.0.lock().unwrap();
        if state.1 {
            return Err(Dry);
        }
        system_random(bytes);
        state.0.push(bytes.to_vec());
        Ok(())
    }
}

/// What a refresh token or code is made of.
pub struct Forge {
    pub master: [u8; 32],
    pub key_id: u32,
    pub family: FamilyId,
    pub generation: u64,
    pub issued_at: Timestamp,
    pub secret: [u8; 32],
}

impl Forge {
    pub fn token(&self) -> String {
        let prefix = if self.generation == 0 { "mcpac_" } else { "mcprt_" };
        let mut bytes = vec![1];
        bytes.extend(self.key_id.to_be_bytes());
        bytes.extend(self.family.as_bytes());
        bytes.extend(self.generation.to_be_bytes());
        let issued_at = self.issued_at.as_unix().to_be_bytes();
        let tag = self.tag("guard", &[prefix.as_bytes(), &bytes]);
        let mac = self.tag("refresh", &[prefix.as_bytes(), &bytes, &issued_at, &self.secret]);
        let (guard, mask) = (&tag[..9], &tag[9..17]);
        bytes.extend(issued_at.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        bytes.extend(guard);
        bytes.extend(mac);
        format!("{prefix}{}", Base64UrlUnpadded::encode_string(&bytes))
    }

    fn tag(&self, label: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&subkey(&self.master, label)).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
    }
}

fn subkey(master: &[u8; 32], label: &str) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(b"mcp-token-lifecycle v1"), master).expand(label.as_bytes(), &mut key).unwrap();
    key
}

/// What an access token says: anything that its maker likes.
#[derive(Clone)]
pub struct AccessForge {
    pub master: [u8; 32],
    pub key_id: u32,
    pub nonce: [u8; 24],
    pub family: FamilyId,
    pub generation: u64,
    pub issued_at: u64,
    pub expires_at: u64,
    pub subject: String,
    pub client_id: String,
    pub scope: String,
    pub audience: Vec<String>,
    /// The audience whose key seals it, if it is another than it says.
    pub sealed_for: Option<String>,
    pub binding: Option<Binding>,
    pub claims: Vec<(String, String)>,
}

impl AccessForge {
    /// The same claims under this key.
    pub fn of(claims: &AccessClaims, master: [u8; 32], key_id: u32) -> Self {
        Self {
            master,
            key_id,
            nonce: [9; 24],
            family: claims.family(),
            generation: claims.generation(),
            issued_at: claims.issued_at().as_unix(),
            expires_at: claims.expires_at().as_unix(),
            subject: claims.subject().to_owned(),
            client_id: claims.client_id().to_owned(),
            scope: claims.scope().to_string(),
            audience: claims.audience().iter().map(Resource::to_string).collect(),
            sealed_for: None,
            binding: claims.binding().copied(),
            claims: claims.claims().clone().into_iter().collect(),
        }
    }

    pub fn token(&self) -> String {
        let audience = self.audience.join(" ");
        let texts = [&self.subject, &self.client_id, &self.scope, &audience];
        let mut claims = self.family.as_bytes().to_vec();
        let numbers = [self.generation, self.issued_at, self.expires_at];
        numbers.iter().for_each(|number| claims.extend(number.to_be_bytes()));
        // No flag: it needs no live check.
        claims.push(0);
        texts.iter().for_each(|text| claims.extend((text.len() as u16).to_be_bytes()));
        match self.binding {
            Some(Binding::DpopKey(thumbprint)) => claims.extend([&[1, 0], &thumbprint[..]].concat()),
            Some(other) => panic!("no test has {other:?}"),
            None => claims.push(0),
        }
        texts.iter().for_each(|text| claims.extend(text.as_bytes()));
        claims.extend(Some(self.claims.len() as u8).filter(|count| *count > 0));
        for text in self.claims.iter().flat_map(|(name, value)| [name, value]) {
            claims.push(text.len() as u8);
            claims.extend(text.as_bytes());
        }
        let tag = &Sha256::digest(self.sealed_for.as_ref().unwrap_or(&audience))[..16];
        let mut header = vec![1];
        header.extend(self.key_id.to_be_bytes());
        header.extend(tag);
        let ad = [&b"mcpat_"[..], &header].concat();
        let hkdf = Hkdf::<Sha256>::from_prk(&subkey(&self.master, "access")).unwrap();
        let mut key = [0; 32];
        hkdf.expand_multi_info(&[b"audience", tag], &mut key).unwrap();
        let cipher = XChaCha20Poly1305::new(&key.into());
        let sealed = cipher.encrypt(&self.nonce.into(), Payload { msg: &claims, aad: &ad }).unwrap();
        format!("mcpat_{}", Base64UrlUnpadded::encode_string(&[&header[..], &self.nonce, &sealed].concat()))
    }
}

/// The bytes behind the prefix.
pub fn bytes_of(token: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(&token[6..]).unwrap()
}

/// The same token with one bit of byte `at` turned over.
pub fn tampered(token: &str, at: usize) -> String {
    let mut bytes = bytes_of(token);
    bytes[at] ^= 1;
    format!("{}{}", &token[..6], Base64UrlUnpadded::encode_string(&bytes))
}

/// The id of the key that made the token.
pub fn key_id_of(token: &str) -> u32 {
    u32::from_be_bytes(bytes_of(token)[1..5].try_into().unwrap())
}
