//! The plain page that asks the user to confirm.

use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::login::ConnectPrompt;
use crate::http::wire::body::ResponseBody;
use crate::http::wire::error_page::escaped;
use crate::http::wire::reply::Reply;

/// The page. Its form posts to the URL of the page, which carries the complete request.
pub(super) fn page(prompt: &ConnectPrompt) -> Reply {
    let service = escaped(&prompt.service);
    let account = prompt.account.as_deref().map(|name| format!("<p>Account: {}</p>\n", escaped(name)));
    let tokens: String =
        prompt.scope.iter().map(|token| format!("<li><code>{}</code></li>\n", escaped(token))).collect();
    let scope = if tokens.is_empty() { tokens } else { format!("<p>Requested access:</p>\n<ul>\n{tokens}</ul>\n") };
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Connect {service}</title>\n<h1>Connect {service}</h1>\n{}{scope}\
         <p>You continue at {service}, which asks for your consent.</p>\n\
         <form method=\"post\"><button>Continue</button></form>\n</html>\n",
        account.unwrap_or_default(),
    );
    let mut reply = Response::new(ResponseBody::from(html));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    reply
}
