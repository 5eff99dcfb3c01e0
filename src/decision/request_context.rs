//! Who asks, and for what.

use crate::audit::Reason;
use crate::family::TokenFamily;
use crate::grant::{Binding, Client, Resource, Scope};

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The client, which the application has identified and authenticated.
    pub client: &'a Client,
    /// What the request proves to be bound to.
    pub binding: Option<&'a Binding>,
    /// A narrower scope for the access token; `None` for all that was granted.
    pub scope: Option<&'a Scope>,
    /// The resources for the access token; none for all that were granted.
    pub resources: &'a [Resource],
}

impl RequestContext<'_> {
    /// Whether the token may be looked at any further. Nothing is written where this refuses.
    pub(super) fn may_present(&self, family: &TokenFamily) -> Result<(), Reason> {
        if self.client.id() != family.grant.client_id() {
            Err(Reason::WrongClient)
        } else if !Binding::satisfies(self.binding, family.binding.as_ref()) {
            Err(Reason::WrongBinding)
        } else {
            Ok(())
        }
    }
}
