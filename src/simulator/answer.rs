//! Answers as Partner Center gives them: bodies with a byte order mark, errors without.

use serde_json::{Map, Value, json};

/// An answer before it is turned into HTTP.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: AnswerBody,
    /// Error code, as the journal shows it.
    pub(super) code: Option<String>,
    /// What changed, in words; `None` when nothing did.
    pub(super) effect: Option<String>,
    /// What the simulator thought of the request, for the journal.
    pub(super) note: Option<String>,
}

/// The body of an [`Answer`].
#[derive(Debug, Clone)]
pub(super) enum AnswerBody {
    Empty,
    /// A success body: sent with a byte order mark, as real success answers are.
    Marked(Value),
    /// An error body, or one of another service: sent without.
    Plain(Value),
}

impl Answer {
    /// 200 with a body.
    pub(super) fn ok(body: Value) -> Self {
        Self::new(200, AnswerBody::Marked(body))
    }

    /// 202 with the place to look at later: relative and without the version, as documented.
    pub(super) fn accepted(location: String) -> Self {
        let mut answer = Self::new(202, AnswerBody::Empty);
        answer.headers.push(("Location", location));
        answer
    }

    /// A success without byte order mark (the token endpoint).
    pub(super) fn plain(status: u16, body: Value) -> Self {
        Self::new(status, AnswerBody::Plain(body))
    }

    /// No body at all.
    pub(super) fn empty(status: u16) -> Self {
        Self::new(status, AnswerBody::Empty)
    }

    fn new(status: u16, body: AnswerBody) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            code: None,
            effect: None,
            note: None,
        }
    }

    /// An error of Partner Center. Six-digit codes travel as strings and the older, shorter ones
    /// as numbers: documentation and samples disagree, so clients have to take both.
    pub(super) fn error(status: u16, code: u32, description: &str) -> Self {
        let wire = if code >= 100_000 {
            json!(code.to_string())
        } else {
            json!(code)
        };
        let mut answer = Self::new(
            status,
            AnswerBody::Plain(json!({
                "code": wire, "description": description, "data": [], "source": "PartnerFD",
            })),
        );
        answer.code = Some(code.to_string());
        answer.note = Some(description.to_owned());
        answer
    }

    /// The gateway's refusal of too many requests, which has a shape of its own.
    pub(super) fn throttled(retry_after_seconds: u64) -> Self {
        let mut answer = Self::new(
            429,
            AnswerBody::Plain(json!({
                "statusCode": 429,
                "message":
                    format!("Rate limit is exceeded. Try again in {retry_after_seconds} seconds."),
            })),
        );
        answer
            .headers
            .push(("Retry-After", retry_after_seconds.to_string()));
        answer.code = Some("429".to_owned());
        answer
    }

    /// Notes for the journal what this answer changed.
    pub(super) fn with_effect(mut self, effect: impl Into<String>) -> Self {
        self.effect = Some(effect.into());
        self
    }

    /// Notes for the journal what the simulator thought.
    pub(super) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// The body as bytes, and its content type.
    pub(super) fn bytes(&self) -> (Vec<u8>, Option<&'static str>) {
        const JSON: Option<&str> = Some("application/json; charset=utf-8");
        match &self.body {
            AnswerBody::Empty => (Vec::new(), None),
            AnswerBody::Marked(body) => {
                let mut bytes = vec![0xEF, 0xBB, 0xBF];
                bytes.extend_from_slice(body.to_string().as_bytes());
                (bytes, JSON)
            }
            AnswerBody::Plain(body) => (body.to_string().into_bytes(), JSON),
        }
    }
}

/// A GET link, relative.
pub(super) fn link(uri: impl Into<String>) -> Value {
    json!({ "uri": uri.into(), "method": "GET", "headers": [] })
}

/// A collection of everything there is, with or without a link to itself.
pub(super) fn collection(items: Vec<Value>, own_uri: Option<String>) -> Value {
    let mut body = Map::new();
    body.insert("totalCount".to_owned(), json!(items.len()));
    body.insert("items".to_owned(), Value::Array(items));
    if let Some(uri) = own_uri {
        body.insert("links".to_owned(), json!({ "self": link(uri) }));
    }
    body.insert(
        "attributes".to_owned(),
        json!({ "objectType": "Collection" }),
    );
    Value::Object(body)
}

/// Removes members that are null: ordinary answers omit what is not set.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k, without_nulls(v)))
                .collect(),
        ),
        other => other,
    }
}

/// The same value with member names in PascalCase, as some answers to PATCH come.
pub(super) fn pascal_case(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, v)| {
                    let mut letters = name.chars();
                    let name = letters
                        .next()
                        .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
                        .unwrap_or_default();
                    (name, pascal_case(v))
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(pascal_case).collect()),
        other => other,
    }
}

/// Member of a JSON object by name in any case: Partner Center reads names without regard to case.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value
        .as_object()?
        .iter()
        .find(|(k, _)| k.eq_ignore_ascii_case(name))
        .map(|(_, v)| v)
}
