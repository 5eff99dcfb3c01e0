//! The code that an application writes around the issuer: the OAuth endpoints, and the token checks of its own routes.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::rejection::RawFormRejection;
use axum::extract::{DefaultBodyLimit, RawForm, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use mcp_token_lifecycle::{
    AuthorizationCode, AuthorizeRequest, Client, CodeChallenge, DynTokenStore, Error, ErrorCode, ErrorResponse,
    Expectation, Grant, LiveCheckError, RedeemRequest, RefreshRequest, Resource, Scope, TokenIssuer, VerifyError,
};
use serde_json::json;

/// The program chooses the store at run time. A program with one fixed store can use `TokenIssuer<RedbStore>`.
pub type Issuer = TokenIssuer<Arc<dyn DynTokenStore>>;

/// The only registered client, its only redirect URI, and the only user.
pub const CLIENT: &str = "demo-client";
pub const REDIRECT: &str = "http://127.0.0.1:7777/callback";
const USER: &str = "demo-user";

struct App {
    issuer: Arc<Issuer>,
    /// The issuer identifier. It is also the resource.
    url: String,
    resource: Resource,
    read: Scope,
    all: Scope,
}

type Form = Result<RawForm, RawFormRejection>;

/// Builds the routes of the server that clients reach at `url`.
pub fn router(issuer: Arc<Issuer>, url: &str) -> Result<Router, mcp_token_lifecycle::GrantError> {
    let app = App {
        issuer,
        url: url.into(),
        resource: Resource::parse(url)?,
        read: Scope::parse("notes:read")?,
        all: Scope::parse("notes:read notes:write")?,
    };
    Ok(Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/.well-known/oauth-protected-resource", get(resource_metadata))
        .route("/token", post(token))
        .route("/revoke", post(revoke))
        .route("/whoami", get(whoami))
        .route("/notes", delete(delete_notes))
        .layer(from_fn(cross_origin))
        .route("/authorize", get(authorize))
        .layer(DefaultBodyLimit::max(16 * 1024))
        .with_state(Arc::new(app)))
}

/// Allows web pages of any origin to call each route except the authorization endpoint (CORS). This is safe because no route
/// reads a cookie. A preflight request has no token, so this layer answers it before the routes run.
async fn cross_origin(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let asked = request.headers().get("access-control-request-headers").cloned();
    let mut response = if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
    headers.insert("access-control-expose-headers", HeaderValue::from_static("retry-after, www-authenticate"));
    if let Some(asked) = asked.filter(|_| preflight) {
        headers.insert("access-control-allow-headers", asked);
    }
    if preflight {
        headers.insert("access-control-allow-methods", HeaderValue::from_static("DELETE, GET, POST"));
    }
    response
}

async fn metadata(State(app): State<Arc<App>>) -> impl IntoResponse {
    let url = &app.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "revocation_endpoint": format!("{url}/revoke"),
        "scopes_supported": app.all.iter().collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn resource_metadata(State(app): State<Arc<App>>) -> impl IntoResponse {
    Json(json!({ "resource": app.url, "authorization_servers": [app.url] }))
}

/// The authorization endpoint. A real server logs the user in and asks for consent before it approves.
async fn authorize(State(app): State<Arc<App>>, query: Form) -> Response {
    let params = match Params::read(query) {
        // Redirect only to the registered URI of a known client. An unchecked URI would make this an open redirector.
        Ok(params) if params.get("client_id") == Some(CLIENT) && params.get("redirect_uri") == Some(REDIRECT) => params,
        _ => return (StatusCode::BAD_REQUEST, "unknown client or redirect URI").into_response(),
    };
    let approved = app.approve(&params).await;
    let mut answer = form_urlencoded::Serializer::new(String::new());
    match &approved {
        Ok(code) => answer.append_pair("code", code.expose()),
        Err(error) => answer.append_pair("error", error),
    };
    params.get("state").map(|state| answer.append_pair("state", state));
    answer.append_pair("iss", &app.url);
    let location = format!("{REDIRECT}?{}", answer.finish());
    (StatusCode::FOUND, NO_STORE, [("location", location)]).into_response()
}

impl App {
    async fn approve(&self, params: &Params) -> Result<AuthorizationCode, &'static str> {
        if params.get("response_type") != Some("code") {
            return Err("unsupported_response_type");
        }
        let challenge = params.get("code_challenge").zip(params.get("code_challenge_method"));
        let (challenge, method) = challenge.ok_or("invalid_request")?;
        let challenge = CodeChallenge::parse(challenge, method).map_err(|_| "invalid_request")?;
        let scope = params.get("scope").map_or(Ok(self.all.clone()), Scope::parse).map_err(|_| "invalid_scope")?;
        if !self.all.includes(&scope) {
            return Err("invalid_scope");
        }
        if params.all("resource").any(|uri| Resource::parse(uri).as_ref() != Ok(&self.resource)) {
            return Err("invalid_target");
        }
        let grant = Grant::new(USER, CLIENT, scope, self.resource.clone()).map_err(|_| "invalid_request")?;
        let code = self.issuer.authorize(AuthorizeRequest::new(grant, challenge, REDIRECT)).await;
        code.map_err(|fault| Refusal::from(fault).0.error.as_str())
    }
}

/// The token endpoint.
async fn token(State(app): State<Arc<App>>, form: Form) -> Result<impl IntoResponse, Refusal> {
    let params = Params::read(form)?;
    let client = params.client()?;
    let answer = match params.need("grant_type")? {
        "authorization_code" => {
            let (code, verifier) = (params.need("code")?, params.need("code_verifier")?);
            let request = RedeemRequest::new(&client, code, params.get("redirect_uri"), verifier);
            app.issuer.redeem(&request.resources(params.all("resource"))).await?
        }
        "refresh_token" => {
            let request = RefreshRequest::new(&client, params.need("refresh_token")?);
            app.issuer.refresh(&request.scope(params.get("scope")).resources(params.all("resource"))).await?
        }
        _ => return Err(ErrorResponse::new(ErrorCode::UnsupportedGrantType).into()),
    };
    Ok((NO_STORE, Json(answer.into_result()?)))
}

/// The revocation endpoint (RFC 7009). It answers 200 for unknown and invalid tokens too.
async fn revoke(State(app): State<Arc<App>>, form: Form) -> Result<impl IntoResponse, Refusal> {
    let params = Params::read(form)?;
    app.issuer.revoke(&params.client()?, params.need("token")?, None).await?;
    Ok(NO_STORE)
}

/// A protected route with the offline check: a revocation takes effect when the access token expires.
async fn whoami(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<impl IntoResponse, Challenge> {
    let expect = Expectation::resource(&app.resource).scope(&app.read);
    let claims = app.issuer.verify(bearer(&headers)?, &expect)?;
    Ok(Json(json!({ "sub": claims.subject(), "client_id": claims.client_id(), "scope": claims.scope().as_str() })))
}

/// A protected route with the live check: one store read, so a revocation takes effect at once.
async fn delete_notes(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<StatusCode, Challenge> {
    let expect = Expectation::resource(&app.resource).scope(&app.all);
    app.issuer.verify_live(bearer(&headers)?, &expect).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Challenge> {
    let value = headers.get("authorization").and_then(|value| value.to_str().ok());
    match value.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token),
        _ => Err(Challenge::NoToken),
    }
}

const NO_STORE: [(&str, &str); 2] = [("cache-control", "no-store"), ("pragma", "no-cache")];

/// The parameters of a request. An empty parameter counts as absent, and a parameter must not repeat (RFC 6749 §3.1, §3.2).
/// Only `resource` may repeat (RFC 8707 §2).
struct Params(Vec<(String, String)>);

impl Params {
    fn read(form: Form) -> Result<Self, Refusal> {
        let invalid = || ErrorResponse::new(ErrorCode::InvalidRequest);
        let RawForm(bytes) = form.map_err(|_| invalid())?;
        let mut params: Vec<_> = form_urlencoded::parse(&bytes).into_owned().collect();
        let mut names = HashSet::new();
        if params.iter().any(|(name, _)| name != "resource" && !names.insert(name)) {
            return Err(invalid().into());
        }
        params.retain(|(_, value)| !value.is_empty());
        Ok(Self(params))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn need(&self, name: &str) -> Result<&str, ErrorResponse> {
        self.get(name).ok_or(ErrorResponse::new(ErrorCode::InvalidRequest))
    }

    /// Returns the registered client. A confidential client must authenticate here.
    fn client(&self) -> Result<Client, ErrorResponse> {
        let known = self.get("client_id").filter(|id| *id == CLIENT);
        known.map(Client::public).ok_or(ErrorResponse::new(ErrorCode::InvalidClient))
    }
}

/// The error response of the OAuth endpoints.
struct Refusal(ErrorResponse);

impl From<ErrorResponse> for Refusal {
    fn from(response: ErrorResponse) -> Self {
        Self(response)
    }
}

impl From<Error> for Refusal {
    fn from(fault: Error) -> Self {
        eprintln!("{fault:?}");
        Self(ErrorResponse::unavailable())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = (status == StatusCode::SERVICE_UNAVAILABLE).then_some([("retry-after", "1")]);
        (status, NO_STORE, retry, Json(self.0)).into_response()
    }
}

/// The error response of a protected route (RFC 6750 §3).
enum Challenge {
    NoToken,
    Refused(VerifyError),
    Unavailable(Refusal),
}

impl From<VerifyError> for Challenge {
    fn from(refused: VerifyError) -> Self {
        Self::Refused(refused)
    }
}

impl From<LiveCheckError> for Challenge {
    fn from(error: LiveCheckError) -> Self {
        match error {
            LiveCheckError::Refused(refused) => Self::Refused(refused),
            LiveCheckError::Fault(fault) => Self::Unavailable(fault.into()),
        }
    }
}

impl IntoResponse for Challenge {
    fn into_response(self) -> Response {
        let (status, challenge) = match self {
            Self::Unavailable(refusal) => return refusal.into_response(),
            Self::NoToken => (401, "Bearer".to_owned()),
            Self::Refused(refused) => (refused.status(), format!("Bearer error=\"{}\"", refused.as_str())),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
        (status, [("www-authenticate", challenge)]).into_response()
    }
}
