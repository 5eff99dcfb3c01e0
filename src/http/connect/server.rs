//! The endpoints with which a user connects an account.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::header::{HeaderName, ORIGIN};
use http::request::Parts;
use http::{Method, StatusCode};

use super::login::{ConnectLogin, ConnectPrompt};
use super::page::page;
use super::return_path::{is_local, with_result};
use crate::audit::{Action, AuditEvent, ErrorCode, HttpEndpoint, Reason};
use crate::grant::Scope;
use crate::http::address::Issuer;
use crate::http::config_error::ConfigError;
use crate::http::server::MAX_QUERY;
use crate::http::wire::error_page;
use crate::http::wire::params::Params;
use crate::http::wire::reply::{Cause, Refusal, Reply, redirect, seal_page, without_content};
use crate::http::wire::tls::TlsPolicy;
use crate::shown::{shown, shown_url};
use crate::store::TokenStore;
use crate::vault::{BrowserUser, Callback, ConnectError, ConnectRequest, CredentialVault, VaultError, segment};

/// The longest name of an account, in bytes.
const MAX_ACCOUNT: usize = 256;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The application's report of a fault.
type OnFault = dyn Fn(&VaultError) + Send + Sync;

struct Config {
    base: Issuer,
    origin: String,
    login: Arc<dyn ConnectLogin>,
    services: BTreeMap<Arc<str>, Scope>,
    return_path: Arc<str>,
    tls: TlsPolicy,
    on_fault: Option<Arc<OnFault>>,
}

/// The pages with which a logged-in user connects an account at another service to the vault.
///
/// | path under the base | method | what it does |
/// |---|---|---|
/// | `/connect/{service}` | GET | asks the user to confirm; [`LeaseError::connect_url`](crate::vault::LeaseError::connect_url) links here |
/// | `/connect/{service}` | POST | sends the browser to the service |
/// | `/callback/{service}` | GET | completes the authorization, and sends the browser to the return path |
///
/// `/connect/{service}` takes `account` (its name), `scope` (at most the scope of
/// [`with_service`](Self::with_service), which is also the default), and `return_to` (a path of this server). The return
/// path gets `connect=connected` or `connect=denied`, and `service`.
///
/// Register `/callback/{service}` at the service as the redirect URI. Each service has its own, so that the code of one
/// cannot be passed off as that of another (RFC 9700 §4.4.2.2).
///
/// ```
/// use http::request::Parts;
/// use mcp_token_lifecycle::http::{ConnectLogin, ConnectServer, ResponseBody};
/// use mcp_token_lifecycle::vault::{BrowserUser, CredentialVault};
/// use mcp_token_lifecycle::{BoxFuture, MemoryStore, Scope};
///
/// struct Login;
///
/// impl ConnectLogin for Login {
///     fn user<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<BrowserUser, http::Response<ResponseBody>>> {
///         // Look up the session cookie of `parts`; without one, return the login page.
///         Box::pin(async { Ok(BrowserUser::new("alice", "the value of the session cookie")) })
///     }
/// }
///
/// # fn example(vault: CredentialVault<MemoryStore>) -> Result<(), Box<dyn std::error::Error>> {
/// let connect = ConnectServer::new("https://mcp.example.com", vault, Login)?
///     .with_service("github", Scope::parse("read:user")?)
///     .with_return_path("/accounts")?;
/// let service = connect.service(); // at /connect and /callback of the router
/// # drop(service);
/// # Ok(()) }
/// ```
///
/// # Security
///
/// * Only a form of this server begins an authorization: a POST needs `Origin` of the base, or `Sec-Fetch-Site:
///   same-origin` if it has no `Origin`. A page of another site cannot begin one for the user.
/// * The browser is sent to the service and to paths of this server, and nowhere else.
/// * The log of a proxy in front of this server has the code of each callback. It is good for nothing without the verifier,
///   which only the vault has, and after the callback it is spent.
pub struct ConnectServer<S> {
    vault: CredentialVault<S>,
    config: Arc<Config>,
}

impl<S> Clone for ConnectServer<S> {
    fn clone(&self) -> Self {
        Self { vault: self.vault.clone(), config: Arc::clone(&self.config) }
    }
}

enum Endpoint<'a> {
    Connect(&'a Arc<str>, &'a Scope),
    Callback(&'a Arc<str>),
}

impl Endpoint<'_> {
    fn methods(&self) -> &'static str {
        match self {
            Self::Connect(..) => "GET, HEAD, POST",
            // A request with HEAD would spend the authorization, and its answer would be dropped.
            Self::Callback(_) => "GET",
        }
    }

    fn place(&self) -> HttpEndpoint {
        match self {
            Self::Connect(..) => HttpEndpoint::Connect,
            Self::Callback(_) => HttpEndpoint::Callback,
        }
    }
}

impl<S> ConnectServer<S> {
    /// Creates the pages under `base`, such as `https://mcp.example.com`, for the users of `login`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Base`] unless `base` is an `https` URL, or `http` on a loopback host, without query and fragment.
    pub fn new(base: &str, vault: CredentialVault<S>, login: impl ConnectLogin + 'static) -> Result<Self, ConfigError> {
        let bad = || ConfigError::Base { found: shown_url(base) };
        let issuer = Issuer::parse(base).ok_or_else(bad)?;
        let (scheme, rest) = base.split_once("://").ok_or_else(bad)?;
        // Browsers send the origin in lower case and without the default port.
        let authority = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
        let scheme = scheme.to_ascii_lowercase();
        let port = if scheme == "https" { ":443" } else { ":80" };
        let origin = format!("{scheme}://{}", authority.strip_suffix(port).unwrap_or(&authority));
        let config = Config {
            base: issuer,
            origin,
            login: Arc::new(login),
            services: BTreeMap::new(),
            return_path: "/".into(),
            tls: TlsPolicy::default(),
            on_fault: None,
        };
        Ok(Self { vault, config: Arc::new(config) })
    }

    fn with(self, change: impl FnOnce(&mut Config)) -> Self {
        let Config { base, origin, login, services, return_path, tls, on_fault } = &*self.config;
        let mut config = Config {
            base: base.clone(),
            origin: origin.clone(),
            login: Arc::clone(login),
            services: services.clone(),
            return_path: return_path.clone(),
            tls: *tls,
            on_fault: on_fault.clone(),
        };
        change(&mut config);
        Self { vault: self.vault, config: Arc::new(config) }
    }

    /// Lets users connect `service`, for at most `scope`. The vault needs a provider of this name with an authorization
    /// endpoint.
    #[must_use]
    pub fn with_service(self, service: impl Into<Arc<str>>, scope: Scope) -> Self {
        self.with(|config| drop(config.services.insert(service.into(), scope)))
    }

    /// Sets the path that the browser is sent to afterwards, unless the link has `return_to`. The default is `/`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ReturnPath`] unless it is a path of this server.
    pub fn with_return_path(self, path: &str) -> Result<Self, ConfigError> {
        if !is_local(path) {
            return Err(ConfigError::ReturnPath { found: shown(path) });
        }
        Ok(self.with(|config| config.return_path = path.into()))
    }

    /// Sets how a request proves that it came over TLS.
    #[must_use]
    pub fn with_tls(self, tls: TlsPolicy) -> Self {
        self.with(|config| config.tls = tls)
    }

    /// Reports each fault of the vault, which the user sees as a 503 without details.
    #[must_use]
    pub fn with_fault_report(self, report: impl Fn(&VaultError) + Send + Sync + 'static) -> Self {
        self.with(|config| config.on_fault = Some(Arc::new(report)))
    }

    /// Returns the redirect URI to register at `service`.
    pub fn redirect_uri(&self, service: &str) -> String {
        self.config.base.join(&format!("/callback/{}", segment(service)))
    }

    /// Returns whether [`handle`](Self::handle) has an endpoint at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.endpoint(path).is_some()
    }

    fn endpoint(&self, path: &str) -> Option<Endpoint<'_>> {
        let (kind, name) = path.strip_prefix(self.config.base.path())?.strip_prefix('/')?.split_once('/')?;
        let (service, scope) = self.config.services.iter().find(|(service, _)| segment(service) == name)?;
        match kind {
            "connect" => Some(Endpoint::Connect(service, scope)),
            "callback" => Some(Endpoint::Callback(service)),
            _ => None,
        }
    }
}

impl<S: TokenStore + 'static> ConnectServer<S> {
    /// Answers a request. Errors are HTML for a client that prefers HTML, and JSON otherwise.
    pub async fn handle(&self, parts: &Parts) -> Reply {
        self.respond(parts, Ok(&[])).await
    }

    /// Answers a request that is refused already if its body could not be read. No endpoint uses the body; it is read so
    /// that the connection can be used again.
    pub(super) async fn respond(&self, parts: &Parts, body: Result<&[u8], Refusal>) -> Reply {
        let endpoint = self.endpoint(parts.uri.path());
        let place = endpoint.as_ref().map(Endpoint::place);
        let reply = match (endpoint, body) {
            (None, _) => Err(Refusal::Status(StatusCode::NOT_FOUND, "this server has no endpoint at this path")),
            (Some(_), Err(refusal)) => Err(refusal),
            (Some(endpoint), Ok(_)) => self.dispatch(endpoint, parts).await,
        };
        let reply = reply.unwrap_or_else(|refusal| {
            if let (Some(place), Some(Cause { reason, .. })) = (place, refusal.cause()) {
                let event = AuditEvent::new(self.vault.now(), Action::Deny).because(reason);
                self.vault.audit.record(&event.at_endpoint(place));
            }
            error_page::for_person(&parts.headers, refusal.into_reply())
        });
        if parts.method == Method::HEAD { without_content(reply) } else { reply }
    }

    async fn dispatch(&self, endpoint: Endpoint<'_>, parts: &Parts) -> Result<Reply, Refusal> {
        if !self.config.tls.permits(parts) {
            return Err(Refusal::INSECURE.because(Reason::Insecure, None));
        }
        if !endpoint.methods().split(", ").any(|method| method == parts.method) {
            return Err(Refusal::Method(endpoint.methods()));
        }
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > MAX_QUERY {
            return Err(Refusal::Status(StatusCode::URI_TOO_LONG, "the query is longer than this server accepts"));
        }
        match endpoint {
            Endpoint::Connect(service, most) => self.connect(service, most, parts, query).await,
            Endpoint::Callback(service) => self.callback(service, parts, query).await,
        }
    }

    /// Asks the user to confirm, or sends the browser to the service.
    async fn connect(&self, service: &Arc<str>, most: &Scope, parts: &Parts, query: &str) -> Result<Reply, Refusal> {
        let begins = parts.method == Method::POST;
        if begins && !self.is_same_origin(parts) {
            return Err(Refusal::Forbidden("only a page of this server may begin to connect an account"));
        }
        let user = match self.user(parts).await {
            Ok(user) => user,
            Err(page) => return Ok(page),
        };
        let params = Params::parse(query.as_bytes())?;
        let account = params.get("account").map(Arc::<str>::from);
        if account.as_ref().is_some_and(|name| name.len() > MAX_ACCOUNT || name.contains(char::is_control)) {
            return Err(invalid("account must have at most 256 bytes and no control characters"));
        }
        let scope = params.get("scope").map(Scope::parse);
        let scope = scope.transpose().map_err(|_| invalid("scope must be a list of scopes, separated by spaces"))?;
        let scope = scope.unwrap_or_else(|| most.clone());
        if !most.includes(&scope) {
            return Err(invalid("scope must be part of the scope that this server may ask the service for"));
        }
        let return_to = params.get("return_to").unwrap_or(&self.config.return_path);
        if !is_local(return_to) {
            return Err(invalid("return_to must be a path of this server"));
        }
        if !begins {
            let prompt = ConnectPrompt { service: service.clone(), account, scope };
            let own = self.config.login.prompt(&user, &prompt);
            let mut page = own.unwrap_or_else(|| page(&prompt));
            seal_page(&mut page);
            return Ok(page);
        }
        let request =
            ConnectRequest::new(&user, service.clone(), scope, self.redirect_uri(service)).return_to(return_to);
        let request = match account {
            Some(name) => request.account(name),
            None => request,
        };
        let url = self.vault.begin_connect(&request).await.map_err(|error| self.refusal(&error))?;
        Ok(redirect(url.expose()))
    }

    /// Completes an authorization.
    async fn callback(&self, service: &str, parts: &Parts, query: &str) -> Result<Reply, Refusal> {
        let user = match self.user(parts).await {
            Ok(user) => user,
            Err(page) => return Ok(page),
        };
        let callback = Callback::new(&user, self.redirect_uri(service), query);
        let outcome = self.vault.complete_connect(&callback).await.map_err(|error| self.refusal(&error))?;
        // Checked again, because a record may be older than this configuration.
        let path = outcome.return_to().filter(|path| is_local(path)).unwrap_or(&self.config.return_path);
        Ok(redirect(&with_result(path, service, outcome.is_connected())))
    }

    /// The user that is logged in, or the application's page for a request without a login.
    async fn user(&self, parts: &Parts) -> Result<BrowserUser, Reply> {
        let user = self.config.login.user(parts).await;
        user.map_err(|mut page| {
            seal_page(&mut page);
            page
        })
    }

    /// Whether a page of this server sent the request, as far as a browser says.
    fn is_same_origin(&self, parts: &Parts) -> bool {
        let (origin, site) = (parts.headers.get(ORIGIN), parts.headers.get(SEC_FETCH_SITE));
        match (origin, site) {
            (Some(origin), site) => {
                origin.as_bytes() == self.config.origin.as_bytes() && site.is_none_or(|site| site == "same-origin")
            }
            (None, site) => site.is_some_and(|site| site == "same-origin"),
        }
    }

    /// The answer to an error of the vault, which has reported it.
    fn refusal(&self, error: &ConnectError) -> Refusal {
        let status = |description| {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
            Refusal::Reported(status, description)
        };
        match error {
            ConnectError::Fault(fault) => {
                if let Some(report) = &self.config.on_fault {
                    report(fault);
                }
                Refusal::Unavailable
            }
            ConnectError::Service(_) => Refusal::Upstream("the service issued no tokens; begin again"),
            ConnectError::CodeRefused => status("the service does not accept the code; begin again"),
            ConnectError::NotConnectable { .. } => status("the vault cannot connect this service"),
            ConnectError::RedirectUri { .. } => status("the redirect URI of this server is not acceptable"),
            ConnectError::NoSession => status("the login of the application has no browser session"),
            ConnectError::OtherSubject => status("another user began to connect this account"),
            ConnectError::OtherBrowser => status("the account was begun to connect in another browser session"),
            ConnectError::Late => status("this took longer than 10 minutes; begin again"),
            ConnectError::Replayed => status("this page was opened before; begin again"),
            ConnectError::MixedUp => status("the answer is not from the service that you were sent to"),
            _ => status("this is no answer to a request to connect an account"),
        }
    }
}

fn invalid(description: &'static str) -> Refusal {
    Refusal::Error(ErrorCode::InvalidRequest, description)
}

impl<S> fmt::Debug for ConnectServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { base, services, return_path, tls, .. } = &*self.config;
        f.debug_struct("ConnectServer")
            .field("base", &base.as_str())
            .field("services", services)
            .field("return_path", return_path)
            .field("tls", tls)
            .finish_non_exhaustive()
    }
}
