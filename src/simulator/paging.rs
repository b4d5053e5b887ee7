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

/// The page of a list of `total` items that the request asks for, before it is cut to size.
pub(super) struct Wanted {
    start: usize,
    size: usize,
    seeks: bool,
    /// The filter that applies: the request's own, or the one its token was made for. Clients
    /// that seek send the token alone.
    pub(super) filter: Option<String>,
}

/// Which page the request asks for. Pages hold `default_size` items unless `size` says otherwise.
pub(super) fn wanted(request: &ApiRequest<'_>, default_size: usize) -> Result<Wanted, Box<Answer>> {
    let invalid = |what: &str| Box::new(Answer::error(400, 800_002, what));
    let filter = request.param("filter").map(str::to_owned);
    let number = |name: &str| {
        request
            .param(name)
            .map(str::parse::<usize>)
            .transpose()
            .map_err(|_| invalid(&format!("{name} is not a number.")))
    };
    // The documentation's example for filters sends size=0.
    let size = number("size")?.filter(|size| *size > 0);
    let seeks = request
        .param("seekoperation")
        .is_some_and(|s| s.eq_ignore_ascii_case("next"));
    let Some(token) = request.continuation.filter(|_| seeks) else {
        return Ok(Wanted {
            start: number("offset")?.unwrap_or(0),
            size: size.unwrap_or(default_size).min(500),
            seeks,
            filter,
        });
    };
    let bad = || invalid("The continuation token is not valid.");
    let text = STANDARD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(bad)?;
    let mut parts = text.splitn(3, '/');
    let mut part = || parts.next().ok_or_else(bad);
    let start: usize = part()?.parse().map_err(|_| bad())?;
    let bound_size: usize = part()?.parse().map_err(|_| bad())?;
    let bound_filter = Some(part()?.to_owned()).filter(|f| !f.is_empty());
    if filter.is_some() && filter != bound_filter {
        return Err(invalid("The continuation token belongs to another filter."));
    }
    Ok(Wanted {
        start,
        size: size.unwrap_or(bound_size).min(500),
        seeks,
        filter: bound_filter,
    })
}

impl Wanted {
    /// The part of a list of `total` items, and how the list goes on.
    pub(super) fn of(self, request: &ApiRequest<'_>, total: usize) -> Page {
        let start = self.start.min(total);
        let end = (start + self.size).min(total);
        let filter = self.filter.unwrap_or_default();
        let token = (end < total).then(|| STANDARD.encode(format!("{end}/{}/{filter}", self.size)));
        let own_uri = request.path_and_query.to_owned();
        let next_uri = if self.seeks {
            own_uri.clone()
        } else {
            let joint = if own_uri.contains('?') { '&' } else { '?' };
            format!("{own_uri}{joint}seekOperation=Next")
        };
        Page {
            range: start..end,
            own_uri,
            continuation: Continuation { token, next_uri },
        }
    }
}
