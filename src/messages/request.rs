//! Requests: the strings that a client sent, and the facts that the application has checked.

use std::fmt;

use crate::grant::{Binding, Client, Grant};
use crate::token::CodeChallenge;

/// An approved authorization request: the user has logged in and consented to `grant`.
#[derive(Debug)]
#[must_use]
pub struct AuthorizeRequest<'a> {
    pub(crate) grant: Grant,
    pub(crate) challenge: CodeChallenge,
    pub(crate) redirect_uri: &'a str,
    pub(crate) binding: Option<Binding>,
}

impl<'a> AuthorizeRequest<'a> {
    /// Creates a request for a code for `grant`. A client redeems the code with the verifier of `challenge` and the
    /// same `redirect_uri`.
    ///
    /// # Security
    ///
    /// The application must have checked that the redirect URI is registered for the client, by exact comparison (OAuth
    /// 2.1 §2.3.1).
    pub fn new(grant: Grant, challenge: CodeChallenge, redirect_uri: &'a str) -> Self {
        Self { grant, challenge, redirect_uri, binding: None }
    }

    /// Binds the code: only the holder of this key (RFC 9449 §10, `dpop_jkt`), or a session with this fingerprint, can
    /// redeem it.
    pub fn binding(self, binding: Binding) -> Self {
        Self { binding: Some(binding), ..self }
    }
}

macro_rules! token_request {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty as $param:ty),+ }) => {
        $(#[$doc])*
        #[derive(Clone)]
        #[must_use]
        pub struct $name<'a> {
            pub(crate) client: &'a Client,
            $(pub(crate) $field: $type,)+
            pub(crate) scope: Option<&'a str>,
            pub(crate) resources: Vec<&'a str>,
            pub(crate) binding: Option<Binding>,
        }

        impl<'a> $name<'a> {
            /// Creates a request by `client`, which the application has identified and authenticated, with the
            /// parameters as sent.
            pub fn new(client: &'a Client, $($field: $param),+) -> Self {
                Self { client, $($field: $field.into(),)+ scope: None, resources: Vec::new(), binding: None }
            }

            /// Requests a narrower scope for the access token. The grant does not change, so the next refresh may
            /// request the whole scope again (RFC 6749 §6).
            pub fn scope(self, scope: impl Into<Option<&'a str>>) -> Self {
                Self { scope: scope.into(), ..self }
            }

            /// Requests a resource for the access token, out of those granted (RFC 8707 §2.2). Each call adds one
            /// resource.
            pub fn resource(self, uri: &'a str) -> Self {
                self.resources([uri])
            }

            /// Requests several resources for the access token, in addition to those requested before.
            pub fn resources(mut self, uris: impl IntoIterator<Item = &'a str>) -> Self {
                self.resources.extend(uris);
                self
            }

            /// States the binding that the request has proved.
            pub fn binding(self, binding: impl Into<Option<Binding>>) -> Self {
                Self { binding: binding.into(), ..self }
            }
        }

        /// Shows the client and leaves out all parameters.
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("client", self.client).finish_non_exhaustive()
            }
        }
    };
}

token_request! {
    /// A token request with `grant_type=authorization_code` (OAuth 2.1 §4.1.3).
    ///
    /// A `redirect_uri` that the client sent must be that of the authorization request, byte for byte. OAuth 2.0
    /// clients send one. OAuth 2.1 leaves it out of the token request, because the code verifier binds the code to the
    /// client already.
    RedeemRequest {
        code: &'a str as &'a str,
        redirect_uri: Option<&'a str> as impl Into<Option<&'a str>>,
        code_verifier: &'a str as &'a str
    }
}

token_request! {
    /// A token request with `grant_type=refresh_token` (OAuth 2.1 §4.3).
    RefreshRequest { refresh_token: &'a str as &'a str }
}
