//! Providers for services, ready to use.

pub(in crate::vault) mod oauth;
