//! Ready providers for services.

pub(in crate::vault) mod oauth;
