//! Parsing and writing of HTTP: parameters, bodies, replies, CORS and TLS.

pub(in crate::http) mod body;
pub(in crate::http) mod cors;
pub(in crate::http) mod error_page;
pub(in crate::http) mod params;
pub(in crate::http) mod reply;
pub(in crate::http) mod tls;
