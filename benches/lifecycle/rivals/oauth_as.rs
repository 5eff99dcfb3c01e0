//! oauth-as 1.0 with its in-memory storage and opaque tokens. Each call does one refresh.

use futures_executor::block_on;
use oauth_as::server::UserApproval;
use oauth_as::{
    AuthorizationRequest, AuthorizationServer, Client, ClientAuth, ClientId, GrantType, MemoryStorage, ScopeSet,
    ServerConfig, SystemClock, TokenRequest,
};

use crate::fixture::{CLIENT, SCOPE, scattered};

const REDIRECT: &str = "https://app.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub struct OauthAs {
    server: AuthorizationServer<MemoryStorage, SystemClock>,
    tokens: Vec<String>,
    next: usize,
}

impl OauthAs {
    pub fn new(grants: usize) -> Self {
        let config = ServerConfig::new("https://as.example", "https://as.example/device");
        let server = AuthorizationServer::new(config, MemoryStorage::new());
        block_on(server.register_client(Client {
            client_id: ClientId::new(CLIENT),
            auth: ClientAuth::Public,
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            redirect_uris: vec![REDIRECT.to_owned()],
            allowed_scopes: ScopeSet::parse(SCOPE).unwrap(),
            default_scopes: ScopeSet::parse(SCOPE).unwrap(),
            name: None,
            registration: None,
        }))
        .unwrap();
        let tokens = (0..grants).map(|user| login(&server, user)).collect();
        Self { server, tokens, next: 0 }
    }

    pub fn rotate(&mut self) {
        self.next = scattered(self.next, self.tokens.len());
        let response = block_on(self.server.token(TokenRequest::RefreshToken {
            client_id: ClientId::new(CLIENT),
            client_secret: None,
            refresh_token: std::mem::take(&mut self.tokens[self.next]),
            scope: None,
        }))
        .unwrap();
        self.tokens[self.next] = response.refresh_token.unwrap();
    }
}

/// Runs the authorization-code flow and returns the first refresh token.
fn login(server: &AuthorizationServer<MemoryStorage, SystemClock>, user: usize) -> String {
    let challenge = oauth_as::pkce::code_challenge_s256(VERIFIER);
    let request = AuthorizationRequest::from_pairs([
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT),
        ("scope", SCOPE),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ]);
    let validated = block_on(server.validate_authorization_request(&request)).unwrap();
    let subject = format!("auth0|{user:024}");
    let code = block_on(server.issue_authorization_code(UserApproval::granted(&validated, &subject))).unwrap().code;
    let response = block_on(server.token(TokenRequest::AuthorizationCode {
        client_id: ClientId::new(CLIENT),
        client_secret: None,
        code,
        redirect_uri: Some(REDIRECT.to_owned()),
        code_verifier: Some(VERIFIER.to_owned()),
    }));
    response.unwrap().refresh_token.unwrap()
}
