//! The endpoints of the authorization server.

pub(in crate::http) mod authorize;
pub(in crate::http) mod client_auth;
pub(in crate::http) mod introspect;
pub(in crate::http) mod metadata;
pub(in crate::http) mod register;
pub(in crate::http) mod revoke;
pub(in crate::http) mod token;
