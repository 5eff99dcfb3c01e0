//! A service that gives recorded answers, one after the other, and remembers what it was asked.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use http::{HeaderName, HeaderValue, Request, Response};
use mcp_token_lifecycle::Scope;
use mcp_token_lifecycle::vault::*;

pub const OLD_ACCESS: &str = "old-access-4f1c";
pub const OLD_REFRESH: &str = "old-refresh-99ab";
pub const REDIRECT: &str = "https://mcp.example.com/cb";
pub const CODE: &str = "code-5d1e";
pub const VERIFIER: &str = "verifier-8c07";
pub const SECRET: &str = "client-secret-77";

type Sent = Arc<Mutex<Vec<Request<Vec<u8>>>>>;

/// The provider, and what it has sent.
pub struct Played {
    pub provider: Box<dyn UpstreamProvider>,
    sent: Sent,
}

/// `service`, which gives the answers of these names.
pub fn play(service: Service, shapes: &[&str]) -> Played {
    give(service, shapes.iter().map(|name| shape(name)).collect())
}

/// `service`, which gives these answers.
pub fn give(service: Service, answers: Vec<Response<Vec<u8>>>) -> Played {
    let sent = Sent::default();
    let (log, answers) = (Arc::clone(&sent), Mutex::new(answers.into_iter()));
    let client = move |request| {
        log.lock().unwrap().push(request);
        let answer = answers.lock().unwrap().next().expect("one request too many");
        async move { Ok(answer) }
    };
    Played { provider: Box::new(OAuthProvider::new(service, client)), sent }
}

impl Played {
    pub fn refresh(&self) -> Result<Refreshed, UpstreamError> {
        pollster::block_on(self.provider.refresh(&tokens()))
    }

    /// The URL that a browser is sent to for this scope.
    pub fn authorize_url(&self, asked: &str) -> String {
        let (asked, state) = (scope(asked), SecretText::new("state-1"));
        let parameters = AuthorizeParameters::new(REDIRECT, &asked, &state, "challenge-1");
        self.provider.connector().unwrap().authorize_url(&parameters).expose().to_owned()
    }

    pub fn exchange(&self) -> Result<Refreshed, UpstreamError> {
        let exchange = CodeExchange::new(SecretText::new(CODE), REDIRECT, SecretText::new(VERIFIER));
        pollster::block_on(self.provider.connector().unwrap().exchange(&exchange))
    }

    pub fn revoke(&self) -> Result<Revocation, UpstreamError> {
        pollster::block_on(self.provider.revoke(&Credential::OAuth(tokens())))
    }

    pub fn introspect(&self) -> Result<CredentialStatus, UpstreamError> {
        pollster::block_on(self.provider.introspect(&Credential::OAuth(tokens())))
    }

    /// Method, address and body of every request so far.
    pub fn sent(&self) -> Vec<String> {
        let line = |r: &Request<Vec<u8>>| format!("{} {} {}", r.method(), r.uri(), String::from_utf8_lossy(r.body()));
        self.sent.lock().unwrap().iter().map(line).collect()
    }

    /// A header of the last request.
    pub fn header(&self, name: &str) -> Option<HeaderValue> {
        self.sent.lock().unwrap().last()?.headers().get(name).cloned()
    }
}

pub fn tokens() -> TokenSet {
    TokenSet::new(SecretText::new(OLD_ACCESS), scope("read")).refresh_token(SecretText::new(OLD_REFRESH))
}

pub fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

pub fn endpoint(path: &str) -> Endpoint {
    Endpoint::parse(&format!("https://as.example{path}")).unwrap()
}

/// The form of an exchange, before the client's credentials.
pub const EXCHANGE: &str = "grant_type=authorization_code&code=code-5d1e&redirect_uri=https%3A%2F%2Fmcp.example.com%2Fcb\
                            &code_verifier=verifier-8c07";

/// The parameters of an authorization request of `client`, with its scope parameter.
pub fn authorize(client: &str, scope: &str) -> String {
    format!(
        "response_type=code&client_id={client}&redirect_uri=https%3A%2F%2Fmcp.example.com%2Fcb{scope}&state=state-1\
         &code_challenge=challenge-1&code_challenge_method=S256"
    )
}

/// A service without quirks.
pub fn plain() -> Service {
    Service::new("client", ClientAuthentication::Basic(SecretText::new(SECRET)), endpoint("/token"))
        .revoked_at(endpoint("/revoke"))
        .introspected_at(endpoint("/introspect"))
}

/// A recorded answer: comments, a status line, headers, an empty line, the body.
pub fn shape(name: &str) -> Response<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("providers/shapes/{name}.http"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines().skip_while(|line| line.starts_with('#'));
    let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut response = Response::new(body.trim_end().as_bytes().to_vec());
    *response.status_mut() = status.try_into().unwrap();
    for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
        response.headers_mut().insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    response
}

/// 200 with this JSON.
pub fn json(body: &str) -> Response<Vec<u8>> {
    Response::new(body.as_bytes().to_vec())
}
