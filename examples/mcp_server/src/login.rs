//! Protects the pages that need a login. The login form appears at the URL of the requested page.

use std::collections::HashMap;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};

use super::pages::{self, Notice, Page};
use super::session::{Sessions, Visitor};
use super::users::{self, User};

const WRONG: Notice = (StatusCode::UNAUTHORIZED, "The user name or the password is wrong.");
const STALE: Notice = (StatusCode::FORBIDDEN, "This page has expired. Please try again.");

pub type Form = HashMap<String, String>;

/// The result of the login check for one request.
pub enum Entry {
    /// The user is not logged in. Show this login form.
    Login(Page),
    /// The user is logged in. Show the requested page, with this notice.
    Page(Member, Option<Notice>),
    /// The user is logged in and posted this form, whose CSRF token is valid. Perform its action.
    Act(Member, Form),
}

/// A user who is logged in, with the browser and the CSRF token for its forms.
pub struct Member {
    pub user: &'static User,
    pub visitor: Visitor,
    pub csrf: String,
}

impl Sessions {
    /// Checks the login of a request. `client` is the name of the client that sent the user here, for the login page.
    pub fn enter(&self, parts: &Parts, body: &[u8], client: Option<&str>) -> Entry {
        let (visitor, user) = self.visitor(&parts.headers);
        let posted =
            (parts.method == Method::POST).then(|| form_urlencoded::parse(body).into_owned().collect::<Form>());
        let field = |name| posted.as_ref().and_then(|form| form.get(name)).map_or("", String::as_str);
        let genuine = self.permits(&visitor, field("csrf"));
        match user {
            Some(user) if genuine => Entry::Act(self.member(visitor, user), posted.unwrap_or_default()),
            Some(user) => Entry::Page(self.member(visitor, user), posted.map(|_| STALE)),
            None if genuine => match users::authenticate(field("username"), field("password")) {
                Some(user) => Entry::Page(self.member(self.log_in(user), user), None),
                None => Entry::Login(self.login(&visitor, client, field("username"), Some(WRONG))),
            },
            // The user name of a forged form is dropped.
            None => Entry::Login(self.login(&visitor, client, "", posted.as_ref().map(|_| STALE))),
        }
    }

    fn member(&self, visitor: Visitor, user: &'static User) -> Member {
        Member { user, csrf: self.csrf(&visitor), visitor }
    }

    fn login(&self, visitor: &Visitor, client: Option<&str>, username: &str, notice: Option<Notice>) -> Page {
        let mut page = pages::login(client, username, &self.csrf(visitor), notice);
        self.set_cookie(visitor, &mut page);
        page
    }
}
