//! pasetors 0.8: decrypts and validates (`iat`, `nbf`, `exp`, `aud`) a v4.local token.

use std::hint::black_box;
use std::time::Duration;

use pasetors::claims::{Claims, ClaimsValidationRules};
use pasetors::keys::SymmetricKey;
use pasetors::token::UntrustedToken;
use pasetors::version4::V4;
use pasetors::{Local, local};

use crate::fixture::{AUDIENCE, CLIENT, SCOPE, SUBJECT};

pub struct Paseto {
    token: String,
    key: SymmetricKey<V4>,
    rules: ClaimsValidationRules,
}

impl Paseto {
    pub fn new() -> Self {
        let key = SymmetricKey::<V4>::from(&[7; 32]).unwrap();
        let mut claims = Claims::new_expires_in(&Duration::from_secs(3600)).unwrap();
        claims.subject(SUBJECT).unwrap();
        claims.audience(AUDIENCE).unwrap();
        claims.add_additional("client_id", CLIENT).unwrap();
        claims.add_additional("scope", SCOPE).unwrap();
        claims.add_additional("sid", "000102030405060708090a0b0c0d0e0f").unwrap();
        claims.add_additional("generation", 7u64).unwrap();
        let token = local::encrypt(&key, &claims, None, None).unwrap();
        let mut rules = ClaimsValidationRules::new();
        rules.validate_audience_with(AUDIENCE);
        Self { token, key, rules }
    }

    pub fn verify(&self) -> usize {
        let token = UntrustedToken::<Local, V4>::try_from(black_box(self.token.as_str())).unwrap();
        local::decrypt(&self.key, &token, &self.rules, None, None).unwrap().payload().len()
    }
}
