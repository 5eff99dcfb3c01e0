//! A client that is independent of this crate: the `oauth2` crate over plain HTTP/1.1.

use std::error::Error;
use std::io;

use axum::body::{Body, to_bytes};
use axum::http;
use hyper_util::rt::TokioIo;
use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    PkceCodeChallenge, RedirectUrl, RevocationUrl, Scope, TokenUrl,
};
use tokio::net::TcpStream;

use super::app::{CLIENT, REDIRECT};

pub type OAuthClient = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet>;

/// Builds the demo client for the server at `host`.
pub fn oauth_client(host: &str) -> Result<OAuthClient, Box<dyn Error>> {
    Ok(BasicClient::new(ClientId::new(CLIENT.into()))
        .set_redirect_uri(RedirectUrl::new(REDIRECT.into())?)
        .set_auth_uri(AuthUrl::new(format!("http://{host}/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("http://{host}/token"))?)
        // The `oauth2` crate requires https for this URL. `send` ignores the scheme and uses plain HTTP.
        .set_revocation_url(RevocationUrl::new(format!("https://{host}/revoke"))?))
}

/// Gets a code from `/authorize`, as a browser does, and redeems it at `/token`.
pub async fn log_in(client: &OAuthClient) -> Result<BasicTokenResponse, Box<dyn Error>> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .set_pkce_challenge(challenge)
        .add_scopes(["notes:read", "notes:write"].map(|scope| Scope::new(scope.into())))
        .url();
    let answer = send(http::Request::get(url.as_str()).body(Vec::new())?).await?;
    let location = answer.headers().get("location").ok_or("the response has no location")?.to_str()?;
    let query = location
        .strip_prefix(REDIRECT)
        .and_then(|rest| rest.strip_prefix('?'))
        .ok_or("the redirect has an unexpected URI")?;
    let param = |name| form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
    if param("state").as_ref() != Some(state.secret()) || param("iss") != Some(format!("http://{}", url.authority())) {
        return Err("the state or the issuer of the redirect is wrong".into());
    }
    let code = AuthorizationCode::new(param("code").ok_or("there is no code")?);
    Ok(client.exchange_code(code).set_pkce_verifier(verifier).request_async(&send).await?)
}

/// Sends one request over a new connection and reads the whole response.
pub async fn send(request: HttpRequest) -> io::Result<HttpResponse> {
    let (head, body) = send_and_read_head(request).await?.into_parts();
    let body = to_bytes(Body::new(body), 64 * 1024).await.map_err(io::Error::other)?;
    Ok(http::Response::from_parts(head, body.to_vec()))
}

/// Sends one request over a new connection and returns when the head of the response has arrived.
pub async fn send_and_read_head(request: HttpRequest) -> io::Result<http::Response<hyper::body::Incoming>> {
    let (mut head, body) = request.into_parts();
    let host = head.uri.authority().map(ToString::to_string).ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TokioIo::new(TcpStream::connect(&host).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    head.headers.insert("host", host.parse().map_err(io::Error::other)?);
    head.uri = head.uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(io::Error::other)?;
    sender.send_request(http::Request::from_parts(head, Body::from(body))).await.map_err(io::Error::other)
}
