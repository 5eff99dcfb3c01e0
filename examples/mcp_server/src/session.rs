//! Who sits at the browser: a cookie with a random id, and a token against forged posts (CSRF) that goes with it.
//!
//! A visitor gets an id at the first page and another one at login, so that nobody can hand out an id that then gets logged
//! in. Only ids that are logged in are kept, in memory: after a restart of the server the user logs in again, which is no
//! matter for the clients and their tokens.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::pages::Page;
use super::users::User;

/// How long a login lasts.
const LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);

pub struct Sessions {
    key: [u8; 64],
    /// Whether browsers reach this server by https.
    https: bool,
    logins: Mutex<HashMap<String, Login>>,
}

struct Login {
    user: &'static User,
    until: Instant,
}

/// A browser.
pub struct Visitor {
    id: String,
    /// Whether its cookie does not name it yet.
    new: bool,
}

impl Sessions {
    pub fn new(https: bool) -> Self {
        Self { key: random(), https, logins: Mutex::default() }
    }

    /// The visitor that the cookie names, or a new one; and who that is, if logged in.
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

    /// What every form of this visitor's pages carries, and no other site can know.
    pub fn csrf(&self, visitor: &Visitor) -> String {
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&self.key.into());
        mac.update(visitor.id.as_bytes());
        Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes())
    }

    /// Whether a form that carries `token` comes from a page of this visitor's.
    pub fn permits(&self, visitor: &Visitor, token: &str) -> bool {
        self.csrf(visitor).as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Let `page` tell the browser who it is from now on.
    ///
    /// The cookie is out of reach of scripts, and `Lax` rather than `Strict`, because the browser arrives from the client's site
    /// and the user should still be known. Cookies know no ports: on a loopback host every program that listens shares them;
    /// on a host of one's own `__Host-` keeps them to it.
    pub fn introduce(&self, visitor: &Visitor, page: &mut Page) {
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
