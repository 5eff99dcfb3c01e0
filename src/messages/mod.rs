//! What the application passes to the issuer and gets back: plain values without decisions.

mod request;
mod response;

pub use self::request::{AuthorizeRequest, RedeemRequest, RefreshRequest};
pub use self::response::{Answer, ErrorResponse, IntrospectionResponse, TokenResponse, TokenType};
