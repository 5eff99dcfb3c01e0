//! How one gets to a page that is for somebody: by a login form, which stands at the address of that page.

use std::collections::HashMap;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};

use super::pages::{self, Notice, Page};
use super::session::{Sessions, Visitor};
use super::users::{self, User};

const WRONG: Notice = (StatusCode::UNAUTHORIZED, "The user name or the password is wrong.");
const STALE: Notice = (StatusCode::FORBIDDEN, "This page was too old. Please try again.");

pub type Form = HashMap<String, String>;

/// Where a request got to.
pub enum Entry {
    /// Not past the login form.
    Login(Page),
    /// To the page.
    Page(Member, Option<Notice>),
    /// To the act that this form of one of our pages asks for.
    Act(Member, Form),
}

/// A visitor who is logged in.
pub struct Member {
    pub user: &'static User,
    pub visitor: Visitor,
    pub csrf: String,
}

impl Sessions {
    pub fn enter(&self, parts: &Parts, body: &[u8]) -> Entry {
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
                None => Entry::Login(self.login(&visitor, Some(WRONG))),
            },
            None => Entry::Login(self.login(&visitor, posted.map(|_| STALE))),
        }
    }

    fn member(&self, visitor: Visitor, user: &'static User) -> Member {
        Member { user, csrf: self.csrf(&visitor), visitor }
    }

    fn login(&self, visitor: &Visitor, notice: Option<Notice>) -> Page {
        let mut page = pages::login(&self.csrf(visitor), notice);
        self.introduce(visitor, &mut page);
        page
    }
}
