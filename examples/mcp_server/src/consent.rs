//! The application's part of an authorization: the login page, then the consent page.

use std::sync::Arc;

use axum::http::request::Parts;
use mcp_token_lifecycle::BoxFuture;
use mcp_token_lifecycle::http::{Approval, AuthorizationRequest, Consent, ConsentDecision};

use super::login::{Entry, Member};
use super::pages::{self, Notice};
use super::session::Sessions;

/// Shows the login page and the consent page, and reports the decision of the user.
pub struct ConsentPage(pub Arc<Sessions>);

impl Consent for ConsentPage {
    fn decide<'a>(
        &'a self,
        request: &'a AuthorizationRequest,
        parts: &'a Parts,
        body: &'a [u8],
    ) -> BoxFuture<'a, ConsentDecision> {
        Box::pin(async move {
            match self.0.enter(parts, body, Some(pages::name(request.client()))) {
                Entry::Login(page) => ConsentDecision::Show(page),
                Entry::Page(member, notice) => self.ask(request, &member, notice),
                Entry::Act(member, form) => match form.get("consent").map(String::as_str) {
                    // The tools read the user's name from this claim of the access token.
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

impl ConsentPage {
    fn ask(&self, request: &AuthorizationRequest, member: &Member, notice: Option<Notice>) -> ConsentDecision {
        let mut page = pages::consent(request, member.user, &member.csrf, notice);
        self.0.set_cookie(&member.visitor, &mut page);
        ConsentDecision::Show(page)
    }
}
