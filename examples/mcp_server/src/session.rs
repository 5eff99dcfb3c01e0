//! Identifies the user of a browser by a cookie with a random id, and protects the forms with a CSRF token.
//!
//! A visitor gets an id at the first page and a new id at login. An attacker therefore cannot plant an id in a browser and use
//! it after the login (session fixation). The server keeps only ids that are logged in, in memory. After a restart the user
//! logs in again; clients and their tokens are not affected.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use mcp_token_lifecycle::FamilyId;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::pages::Page;
use super::users::User;

/// The lifetime of a browser login.
const LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);

/// The browser logins. They are not the sessions of MCP clients, which the issuer manages.
pub struct Sessions {
    key: [u8; 64],
    /// Whether browsers reach this server over https.
    https: bool,
    logins: Mutex<HashMap<String, Login>>,
}

struct Login {
    user: &'static User,
    until: Instant,
}

/// A browser, identified by its cookie.
pub struct Visitor {
    id: String,
    /// Whether the browser does not have this cookie yet.
    new: bool,
}

impl Sessions {
    pub fn new(https: bool) -> Self {
        Self { key: random(), https, logins: Mutex::default() }
    }

    /// Returns the visitor of the cookie, or a new visitor, and the user if the visitor is logged in.
    pub fn visitor(&self, headers: &HeaderMap) -> (Visitor, Option<&'static User>) {
        let Some(id) = self.cookie(headers) else { return (Visitor::new(), None) };
        let user = self.logins().get(id).filter(|login| Instant::now() < login.until).map(|login| login.user);
        (Visitor { id: id.to_owned(), new: false }, user)
    }

    pub fn log_in(&self, user: &'static User) -> Visitor {
        let (visitor, now) = (Visitor::new(), Instant::now());
        let mut logins = self.logins();
        logins.retain(|_, login| now < login.until);
        logins.insert(visitor.id.clone(), Login { user, until: now + LIFETIME });
        visitor
    }

    pub fn log_out(&self, visitor: &Visitor) {
        self.logins().remove(&visitor.id);
    }

    /// Returns the CSRF token of the visitor. Each form contains it, and other sites cannot read it.
    pub fn csrf(&self, visitor: &Visitor) -> String {
        self.mac("csrf", visitor.id.as_bytes())
    }

    /// Returns the name that the page of sessions gives to a family, so that no internal id leaves the server.
    pub fn handle(&self, family: FamilyId) -> String {
        self.mac("session", family.as_bytes())
    }

    fn mac(&self, purpose: &str, data: &[u8]) -> String {
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&self.key.into());
        mac.update(purpose.as_bytes());
        mac.update(data);
        Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes())
    }

    /// Returns whether `token` is the CSRF token of the visitor.
    pub fn permits(&self, visitor: &Visitor, token: &str) -> bool {
        self.csrf(visitor).as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Sets the cookie of a new visitor on `page`.
    ///
    /// Scripts cannot read the cookie. It is `Lax` instead of `Strict`, because the browser arrives from the site of the client
    /// and must still send the cookie. Cookies do not depend on the port, so all programs on a loopback host share them. Over
    /// https the prefix `__Host-` restricts the cookie to its host.
    pub fn set_cookie(&self, visitor: &Visitor, page: &mut Page) {
        let secure = if self.https { "; Secure" } else { "" };
        let (name, id) = (self.cookie_name(), &visitor.id);
        let cookie = HeaderValue::try_from(format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}"));
        if visitor.new
            && let Ok(cookie) = cookie
        {
            page.headers_mut().insert(SET_COOKIE, cookie);
        }
    }

    fn cookie_name(&self) -> &'static str {
        if self.https { "__Host-session" } else { "session" }
    }

    fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = values.flat_map(|value| value.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        cookies.find(|(name, _)| *name == self.cookie_name()).map(|(_, id)| id).filter(|id| !id.is_empty())
    }

    fn logins(&self) -> MutexGuard<'_, HashMap<String, Login>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor {
    fn new() -> Self {
        Self { id: Base64UrlUnpadded::encode_string(&random::<32>()), new: true }
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}
