//! oxide-auth 0.6 with `TokenMap`, for a public client. Each call does one refresh through `code_grant::refresh`.

use std::borrow::Cow;

use oxide_auth::code_grant::refresh::{Endpoint, Request, refresh};
use oxide_auth::primitives::generator::RandomGenerator;
use oxide_auth::primitives::grant::{Extensions, Grant};
use oxide_auth::primitives::issuer::{IssuedToken, Issuer, RefreshedToken, TokenMap};
use oxide_auth::primitives::registrar::{Client, ClientMap, ExactUrl, RegisteredUrl, Registrar};

use crate::fixture::{CLIENT, SCOPE, scattered};

/// The number of random bytes in a token, which is the same as in oauth-as.
const TOKEN_BYTES: usize = 32;

pub struct Oxide {
    registrar: ClientMap,
    issuer: Tap,
    tokens: Vec<String>,
    next: usize,
}

impl Oxide {
    pub fn new(grants: usize) -> Self {
        let redirect = RegisteredUrl::Exact("https://app.example/cb".parse::<ExactUrl>().unwrap());
        let mut registrar = ClientMap::new();
        registrar.register_client(Client::public(CLIENT, redirect.clone(), SCOPE.parse().unwrap()));
        let mut map = TokenMap::new(RandomGenerator::new(TOKEN_BYTES));
        let mut login = |user| {
            let grant = Grant {
                client_id: CLIENT.to_owned(),
                owner_id: format!("auth0|{user:024}"),
                redirect_uri: redirect.to_url(),
                scope: SCOPE.parse().unwrap(),
                until: chrono::Utc::now() + chrono::Duration::hours(1),
                extensions: Extensions::new(),
            };
            map.issue(grant).unwrap().refresh.unwrap()
        };
        let tokens = (0..grants).map(&mut login).collect();
        Self { registrar, issuer: Tap { map, last: None }, tokens, next: 0 }
    }

    pub fn rotate(&mut self) {
        self.next = scattered(self.next, self.tokens.len());
        let mut endpoint = RefreshEndpoint { registrar: &self.registrar, issuer: &mut self.issuer };
        let answer = refresh(&mut endpoint, &RefreshRequest(&self.tokens[self.next]));
        assert!(answer.is_ok());
        self.tokens[self.next] = self.issuer.last.take().unwrap();
    }
}

/// Records the new refresh token. The response contains it only as JSON, and parsing would distort the measurement.
struct Tap {
    map: TokenMap<RandomGenerator>,
    last: Option<String>,
}

impl Issuer for Tap {
    fn issue(&mut self, grant: Grant) -> Result<IssuedToken, ()> {
        self.map.issue(grant)
    }

    fn refresh(&mut self, token: &str, grant: Grant) -> Result<RefreshedToken, ()> {
        let refreshed = self.map.refresh(token, grant)?;
        self.last.clone_from(&refreshed.refresh);
        Ok(refreshed)
    }

    fn recover_token<'a>(&'a self, token: &'a str) -> Result<Option<Grant>, ()> {
        self.map.recover_token(token)
    }

    fn recover_refresh<'a>(&'a self, token: &'a str) -> Result<Option<Grant>, ()> {
        self.map.recover_refresh(token)
    }
}

struct RefreshEndpoint<'a> {
    registrar: &'a ClientMap,
    issuer: &'a mut Tap,
}

impl Endpoint for RefreshEndpoint<'_> {
    fn registrar(&self) -> &dyn Registrar {
        self.registrar
    }

    fn issuer(&mut self) -> &mut dyn Issuer {
        self.issuer
    }
}

struct RefreshRequest<'a>(&'a str);

impl Request for RefreshRequest<'_> {
    fn valid(&self) -> bool {
        true
    }

    fn refresh_token(&self) -> Option<Cow<'_, str>> {
        Some(self.0.into())
    }

    fn scope(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some("refresh_token".into())
    }

    fn authorization(&self) -> Option<(Cow<'_, str>, Cow<'_, [u8]>)> {
        None
    }

    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}
