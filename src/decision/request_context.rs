//! The request that a decision answers: its client, binding, scope and resources.

use crate::audit::Reason;
use crate::family::TokenFamily;
use crate::grant::{Binding, Client, Resource, Scope};

/// The request that a decision answers.
#[derive(Clone, Debug)]
pub struct RequestContext<'a> {
    /// The client, which the application has identified and authenticated.
    pub client: &'a Client,
    /// The binding that the request proves.
    pub binding: Option<&'a Binding>,
    /// A narrower scope for the access token; `None` requests everything that was granted.
    pub scope: Option<Scope>,
    /// The resources for the access token, without repetition; none requests all that were granted.
    pub resources: Vec<Resource>,
}

impl<'a> RequestContext<'a> {
    /// Parses the scope and the resources of a request.
    ///
    /// # Errors
    ///
    /// The reason to refuse the request, if one of them is malformed.
    pub fn parse(
        client: &'a Client,
        binding: Option<&'a Binding>,
        scope: Option<&str>,
        uris: &[&str],
    ) -> Result<Self, Reason> {
        let scope = scope.map(Scope::parse).transpose().map_err(|_| Reason::ScopeExceeded)?;
        let mut resources = Vec::new();
        for uri in uris {
            let resource = Resource::parse(uri).map_err(|_| Reason::ResourceNotGranted)?;
            // A repeated resource counts once, so that repetitions do not make an audience larger.
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
        Ok(Self { client, binding, scope, resources })
    }

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
