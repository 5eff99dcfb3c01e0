//! The page `/sessions`, on which a user sees and revokes the sessions of MCP clients.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use mcp_token_lifecycle::http::{ClientRegistry, StoredClients};
use mcp_token_lifecycle::{Clock, Error, RedbStore, SystemClock, TokenIssuer};

use super::login::{Entry, Form, Member};
use super::pages::{self, Notice, Page, Session};
use super::session::Sessions;

#[derive(Clone)]
pub struct YourSessions {
    pub issuer: Arc<TokenIssuer<RedbStore>>,
    pub clients: Arc<StoredClients<RedbStore>>,
    pub sessions: Arc<Sessions>,
}

pub async fn your_sessions(State(state): State<YourSessions>, parts: Parts, body: Bytes) -> Result<Page, StatusCode> {
    let answer = match state.sessions.enter(&parts, &body, None) {
        Entry::Login(page) => Ok(page),
        Entry::Page(member, notice) => state.list(&member, notice).await,
        Entry::Act(member, form) => state.act(&member, &form).await,
    };
    answer.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

impl YourSessions {
    async fn list(&self, member: &Member, notice: Option<Notice>) -> Result<Page, Error> {
        let mut sessions = Vec::new();
        for family in self.issuer.list_families(member.user.id).await? {
            let client = self.clients.find(family.grant().client_id()).await?;
            let name = client.as_ref().map_or("A program that is no longer registered", pages::name).to_owned();
            sessions.push(Session { handle: self.sessions.handle(family.id()), client: name, family });
        }
        let mut page = pages::sessions(member.user, &member.csrf, &sessions, SystemClock.now(), notice);
        self.sessions.set_cookie(&member.visitor, &mut page);
        Ok(page)
    }

    async fn act(&self, member: &Member, form: &Form) -> Result<Page, Error> {
        if let Some(handle) = form.get("session") {
            // Only families of this user are searched.
            let mut families = self.issuer.list_families(member.user.id).await?.into_iter();
            if let Some(family) = families.find(|family| self.sessions.handle(family.id()) == *handle) {
                self.issuer.revoke_family(member.user.id, family.id()).await?;
            }
        }
        if form.contains_key("logout") {
            self.sessions.log_out(&member.visitor);
        }
        // Redirect to the page, so that a reload does not send the form again.
        let mut page = Page::default();
        *page.status_mut() = StatusCode::SEE_OTHER;
        page.headers_mut().insert(LOCATION, HeaderValue::from_static("/sessions"));
        Ok(page)
    }
}
