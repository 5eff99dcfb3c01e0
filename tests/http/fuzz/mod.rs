//! Any request to any endpoint: no panic, no 5xx but 503 while the store is in trouble, and nothing secret comes back.

mod draft;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use mcp_token_lifecycle::TokenIssuer;
use mcp_token_lifecycle::http::*;
use proptest::prelude::*;
use proptest::sample::select;
use tower::{Layer, ServiceExt, service_fn};

use self::draft::{Content, Draft, Pairs, draft, get, good, pairs, post};
use crate::site::*;
use crate::support::{Fault, VERIFIER, block_on, keyring};

/// One server without a port, and one session on it.
struct Fixture {
    server: Server,
    store: Store,
    secrets: Vec<(&'static str, String)>,
}

/// Where secrets are not to be found again: that comes back by definition.
const RETURNED: [&str; 2] = ["state", "redirect_uri"];

impl Fixture {
    fn new() -> Self {
        let store = Store::default();
        let issuer = Arc::new(TokenIssuer::new(Arc::clone(&store), keyring()));
        let scopes = "notes:read notes:write";
        let resource = ProtectedResource::new("http://localhost/mcp", scopes).unwrap();
        let here = resource.resource().clone();
        let clients = StoredClients::new(Arc::clone(&issuer)).with(client()).with(web_client()).with(guard());
        let server = AuthorizationServer::new("http://localhost", issuer, resource, clients, Pages)
            .unwrap()
            .with_tls(TlsPolicy::Loopback);
        let server = server.with_registration(|_, _| true).with_introspection(GUARD, here);
        let mut fixture = Self { server, store, secrets: Vec::new() };
        let [code, spent] = [(); 2].map(|()| {
            let ask = get("/authorize", &[], &[("cookie", "user=user-1")]);
            let query = [("client_id", CLIENT), ("response_type", "code"), ("code_challenge", CHALLENGE)];
            let ask = Draft { query: pairs(&[&query[..], &[("code_challenge_method", "S256")]].concat()), ..ask };
            fixture.answers(&ask).unwrap()[0].sent_back("code")
        });
        let redeem = [("grant_type", "authorization_code"), ("client_id", CLIENT), ("code", &spent)];
        let redeem = post("/token", &[&redeem[..], &[("code_verifier", VERIFIER)]].concat());
        // Once: a second redemption revokes what the first has led to.
        let (parts, body) = fixture.request(&redeem).unwrap().into_parts();
        let tokens = block_on(async { read(fixture.server.handle(&parts, &body).await).await }).tokens();
        fixture.secrets = vec![
            ("{code}", code),
            ("{access}", tokens.access),
            ("{refresh}", tokens.refresh),
            ("{verifier}", VERIFIER.into()),
            ("{secret}", WEB_SECRET.into()),
            ("{web}", basic(WEB_CLIENT, WEB_SECRET)),
            ("{guard}", basic(GUARD, GUARD_SECRET)),
        ];
        fixture
    }

    fn fill(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, (name, secret)| text.replace(name, secret))
    }

    fn form(&self, pairs: &Pairs) -> String {
        let filled = |(name, value): &(String, String)| {
            (name.clone(), if RETURNED.contains(&name.as_str()) { value.clone() } else { self.fill(value) })
        };
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs.iter().map(filled)).finish()
    }

    /// The request, if it is one at all.
    fn request(&self, draft: &Draft) -> Option<Request<Vec<u8>>> {
        let body = match &draft.body {
            Content::Form(pairs) => self.form(pairs),
            Content::Raw(text) => self.fill(text),
        };
        let uri = Uri::try_from(format!("{}?{}", draft.path, self.form(&draft.query))).ok()?;
        let mut request = Request::new(body.into_bytes());
        *request.uri_mut() = uri;
        *request.method_mut() = Method::from_bytes(draft.method.as_bytes()).ok()?;
        for (name, value) in &draft.headers {
            let (name, value) = (HeaderName::try_from(name).ok()?, HeaderValue::try_from(self.fill(value)).ok()?);
            request.headers_mut().append(name, value);
        }
        Some(request)
    }

    /// The answers of the server as a function and as a service; at `/mcp` that of the protected service.
    fn answers(&self, draft: &Draft) -> Option<Vec<Answer>> {
        let (parts, body) = self.request(draft)?.into_parts();
        let as_service = || Request::from_parts(parts.clone(), Body::from(body.clone()));
        let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let bearer = self.server.bearer_live().require_scope("notes:read").unwrap();
        let tools = bearer.tools([("delete_note", "notes:write")]).unwrap();
        let protected = bearer.layer(tools.layer(inner));
        Some(block_on(async {
            let mut answers = Vec::new();
            if parts.uri.path() == "/mcp" {
                answers.push(read(protected.oneshot(as_service()).await.unwrap()).await);
            } else {
                answers.push(read(self.server.handle(&parts, &body).await).await);
                answers.push(read(self.server.service().oneshot(as_service()).await.unwrap()).await);
            }
            answers
        }))
    }

    /// What of a secret came back, but for the common beginning of tokens. A new code is like an old one in its counter and time.
    fn leak(&self, answer: &Answer) -> Option<&'static str> {
        let mut shown = String::from_utf8_lossy(&answer.body).into_owned();
        for (name, value) in &answer.headers {
            shown.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
        if let Some((before, after)) = shown.split_once("?code=") {
            shown = format!(
                "{before}{}",
                after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-".contains(c))
            );
        }
        let found = |secret: &str| secret.as_bytes()[16..].windows(8).any(|window| contains(shown.as_bytes(), window));
        self.secrets.iter().find(|(_, secret)| found(secret)).map(|(name, _)| *name)
    }
}

async fn read<B>(response: Response<B>) -> Answer
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let (head, body) = response.into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.unwrap().to_vec();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    /// spec: OAuth 2.1 §7.1.3.7
    #[test]
    fn random_requests_get_no_fault_and_no_secret(draft in draft()) {
        let fixture = Fixture::new();
        for answer in fixture.answers(&draft).unwrap_or_default() {
            prop_assert!(answer.status < 500, "{}", answer.status);
            // New tokens have their family in common with the old; a registration says what was sent.
            if !(answer.status == 200 && draft.path == "/token" || answer.status == 201) {
                prop_assert_eq!(fixture.leak(&answer), None);
            }
        }
    }

    #[test]
    fn random_requests_during_store_faults_get_at_most_503(
        draft in draft(),
        skip in 0..4_usize,
        fault in select(vec![Fault::Unavailable, Fault::UncertainDone, Fault::UncertainUndone, Fault::Conflict]),
    ) {
        let fixture = Fixture::new();
        fixture.store.fail_after(skip, fault);
        for answer in fixture.answers(&draft).unwrap_or_default() {
            if answer.status >= 500 {
                answer.assert_unavailable();
            }
            if !(answer.status == 200 && draft.path == "/token" || answer.status == 201) {
                prop_assert_eq!(fixture.leak(&answer), None);
            }
        }
    }
}

#[test]
fn good_requests_get_their_expected_status() {
    for (draft, status) in good() {
        let answers = Fixture::new().answers(&draft).unwrap();
        assert_eq!(answers[0].status, status, "{draft:?}");
    }
}

#[test]
fn leak_check_finds_every_planted_secret() {
    let fixture = Fixture::new();
    for (name, secret) in &fixture.secrets {
        for part in [&secret[16..24], &secret[secret.len() - 8..]] {
            let answer = Answer { status: 400, headers: Default::default(), body: format!("because of {part}").into() };
            assert_eq!(fixture.leak(&answer), Some(*name));
        }
    }
}
