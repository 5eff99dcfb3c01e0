//! A second implementation of the refresh token, from its description, for tokens that no issuer would hand out.

use std::sync::{Arc, Mutex};

use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use mcp_token_lifecycle::{Entropy, EntropyError, FamilyId, OsEntropy, Timestamp};
use sha2::Sha256;

/// True randomness that is remembered, and that can run dry.
#[derive(Clone, Default)]
pub struct TestEntropy(Arc<Mutex<(Vec<Vec<u8>>, bool)>>);

impl TestEntropy {
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

impl Entropy for TestEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let mut state = self.0.lock().unwrap();
        if state.1 {
            return Err(EntropyError::new("dry"));
        }
        OsEntropy.fill(bytes)?;
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
        let mut key = [0; 32];
        let hkdf = Hkdf::<Sha256>::new(Some(b"mcp-token-lifecycle v1"), &self.master);
        hkdf.expand(label.as_bytes(), &mut key).unwrap();
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
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
