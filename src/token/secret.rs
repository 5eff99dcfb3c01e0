//! The tokens as the issuer returns them: secret strings.

use zeroize::Zeroizing;

use crate::crypto::redacted::redacted;

macro_rules! secret_string {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Zeroized on drop. `Debug` shows `(..)`; only [`expose`](Self::expose) returns the text.
        pub struct $name(pub(crate) Zeroizing<String>);

        impl $name {
            /// Returns the text for the response to the client. Do not write it to a log, an error or a URL that is
            /// logged.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        redacted!($name);
    };
}

secret_string! {
    /// A sealed access token: `mcpat_` and about 300 characters.
    AccessToken
}
secret_string! {
    /// A refresh token: `mcprt_` and 104 characters.
    RefreshToken
}
secret_string! {
    /// An authorization code: `mcpac_` and 104 characters.
    #[doc(alias = "code")]
    AuthorizationCode
}
