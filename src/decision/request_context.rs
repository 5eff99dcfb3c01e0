//! The request that a decision answers: its client, binding, scope and resources.

use crate::audit::Reason;
use crate::family::TokenFamily;
use crate::grant::{Binding, Client, Resource, Scope};

/// The request that a decision answers.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The client, which the application has identified and authenticated.
    pub client: &'a Client,
    /// The binding that the request proves.
    pub binding: Option<&'a Binding>,
    /// A narrower scope for the access token; `None` requests everything that was granted.
    pub scope: Option<&'a Scope>,
    /// The resources for the access token; an empty slice requests all that were granted.
    pub resources: &'a [Resource],
}

impl RequestContext<'_> {
    /// Checks the client and the binding. A refusal here must not lead to a write.
    pub(super) fn may_present(&self, family: &TokenFamily) -> Result<(), Reason> {
        if self.client.id() != family.grant.client_id() {
            Err(Reason::WrongClient)
        } else if !Binding::satisfies(self.binding, family.binding()) {
            Err(Reason::WrongBinding)
        } else {
            Ok(())
        }
    }
}
