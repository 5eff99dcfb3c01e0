//! jsonwebtoken 12: decodes and validates (`exp`, `aud`) an access token with the claims of RFC 9068.

use std::hint::black_box;
use std::time::SystemTime;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::fixture::{AUDIENCE, CLIENT, SCOPE, SUBJECT};

#[derive(Clone, Serialize, Deserialize)]
struct Claims {
    sub: String,
    client_id: String,
    scope: String,
    aud: String,
    iat: u64,
    exp: u64,
    /// The family, as hexadecimal digits.
    sid: String,
    generation: u64,
}

/// The test key of RFC 8032 §7.1, as PKCS#8, and its public half.
const ED25519: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0x9d, 0x61, 0xb1,
    0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
    0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
const ED25519_PUBLIC: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72,
    0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

pub struct Jwt {
    token: String,
    key: DecodingKey,
    validation: Validation,
}

impl Jwt {
    pub fn hs256() -> Self {
        Self::new(
            Algorithm::HS256,
            &EncodingKey::from_secret(&[7; 32]).unwrap(),
            DecodingKey::from_secret(&[7; 32]).unwrap(),
        )
    }

    pub fn eddsa() -> Self {
        Self::new(Algorithm::EdDSA, &EncodingKey::from_ed_der(&ED25519), DecodingKey::from_ed_der(&ED25519_PUBLIC))
    }

    fn new(algorithm: Algorithm, signer: &EncodingKey, key: DecodingKey) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let claims = Claims {
            sub: SUBJECT.into(),
            client_id: CLIENT.into(),
            scope: SCOPE.into(),
            aud: AUDIENCE.into(),
            iat: now,
            exp: now + 3600,
            sid: "000102030405060708090a0b0c0d0e0f".into(),
            generation: 7,
        };
        let sign = |claims| encode(&Header::new(algorithm), claims, signer).unwrap();
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
        validation.set_required_spec_claims(&["exp", "aud"]);
        validation.set_audience(&[AUDIENCE]);
        let (token, expired) = (sign(&claims), sign(&Claims { exp: 1, ..claims.clone() }));
        // Ensure that the validation checks expiry and audience.
        assert!(decode::<Claims>(&expired, &key, &validation).is_err());
        let mut elsewhere = validation.clone();
        elsewhere.set_audience(&["https://other.example"]);
        assert!(decode::<Claims>(&token, &key, &elsewhere).is_err());
        Self { token, key, validation }
    }

    pub fn verify(&self) -> u64 {
        decode::<Claims>(black_box(self.token.as_str()), &self.key, &self.validation).unwrap().claims.exp
    }
}
