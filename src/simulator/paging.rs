//! Seek paging: a page carries a token, and the next request sends it in a header.

use std::ops::Range;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::answer::Answer;
use super::request::ApiRequest;

/// Which part of a list to answer.
pub(super) struct Page {
    pub(super) range: Range<usize>,
    pub(super) own_uri: String,
    pub(super) continuation: Continuation,
}

/// How the list goes on.
pub(super) struct Continuation {
    token: Option<String>,
    next_uri: String,
}

impl Continuation {
    /// Adds the token and the link to the next page, where there is one. The token stands in the
    /// link's headers too; the link already names the seek operation.
    pub(super) fn write(self, body: &mut Value) {
        if let Some(token) = self.token {
            body["links"]["next"] = json!({
                "uri": self.next_uri, "method": "GET",
                "headers": [{ "key": "MS-ContinuationToken", "value": token }],
            });
            body["continuationToken"] = json!(token);
        }
    }
}

/// The page of a list of `total` items that the request asks for. Tokens are bound to the size
/// and filter they were made for. Pages hold `default_size` items unless `size` says otherwise.
pub(super) fn page(
    request: &ApiRequest<'_>,
    total: usize,
    default_size: usize,
) -> Result<Page, Box<Answer>> {
    let invalid = |what: &str| Box::new(Answer::error(400, 800_002, what));
    let size = match request.param("size") {
        None => default_size,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| invalid("size is not a number."))?,
    };
    // The documentation's example for filters sends size=0.
    let size = match size {
        0 => default_size,
        n => n.min(500),
    };
    let binding = format!("{size}/{}", request.param("filter").unwrap_or_default());
    let seeks = request
        .param("seekoperation")
        .is_some_and(|s| s.eq_ignore_ascii_case("next"));
    let start = match request.continuation {
        Some(token) if seeks => {
            let text = STANDARD
                .decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| invalid("The continuation token is not valid."))?;
            let (start, bound) = text
                .split_once('/')
                .ok_or_else(|| invalid("The continuation token is not valid."))?;
            if bound != binding {
                return Err(invalid(
                    "The continuation token belongs to another request.",
                ));
            }
            start
                .parse::<usize>()
                .map_err(|_| invalid("The continuation token is not valid."))?
        }
        _ => match request.param("offset") {
            None => 0,
            Some(text) => text
                .parse()
                .map_err(|_| invalid("offset is not a number."))?,
        },
    };
    let start = start.min(total);
    let end = (start + size).min(total);
    let token = (end < total).then(|| STANDARD.encode(format!("{end}/{binding}")));
    let own_uri = request.path_and_query.to_owned();
    let next_uri = if seeks {
        own_uri.clone()
    } else {
        let joint = if own_uri.contains('?') { '&' } else { '?' };
        format!("{own_uri}{joint}seekOperation=Next")
    };
    Ok(Page {
        range: start..end,
        own_uri,
        continuation: Continuation { token, next_uri },
    })
}
