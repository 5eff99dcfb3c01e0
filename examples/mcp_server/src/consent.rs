//! The application's part of an authorization: the login, then the question.

use std::sync::Arc;

use axum::http::request::Parts;
use mcp_token_lifecycle::BoxFuture;
use mcp_token_lifecycle::http::{Approval, AuthorizationRequest, Consent, ConsentDecision};

use super::login::{Entry, Member};
use super::pages::{self, Notice};
use super::session::Sessions;

pub struct Question(pub Arc<Sessions>);

impl Consent for Question {
    fn decide<'a>(
        &'a self,
        request: &'a AuthorizationRequest,
        parts: &'a Parts,
        body: &'a [u8],
    ) -> BoxFuture<'a, ConsentDecision> {
        Box::pin(async move {
            match self.0.enter(parts, body) {
                Entry::Login(page) => ConsentDecision::Show(page),
                Entry::Page(member, notice) => self.ask(request, &member, notice),
                Entry::Act(member, form) => match form.get("consent").map(String::as_str) {
                    // The name goes into every access token, where the tools find it.
                    Some("approve") => {
                        ConsentDecision::Approve(Approval::new(member.user.id).claim("name", member.user.name))
                    }
                    Some("deny") => ConsentDecision::Deny,
                    _ => self.ask(request, &member, None),
                },
            }
        })
    }
}

impl Question {
    fn ask(&self, request: &AuthorizationRequest, member: &Member, notice: Option<Notice>) -> ConsentDecision {
        let mut page = pages::consent(request, member.user, &member.csrf, notice);
        self.0.introduce(&member.visitor, &mut page);
        ConsentDecision::Show(page)
    }
}
