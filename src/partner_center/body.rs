//! Bodies: from bytes to JSON, or a sentence that says why they are none.

use serde_json::Value;

use crate::http::Answer;

/// What an answer's body turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// JSON.
    Json(Value),
    /// Nothing but white space.
    Empty,
    /// Anything else; the sentence says what.
    Nonsense(String),
}

/// Reads a body. Success bodies begin with a BOM (seen in all recorded sessions), error bodies do not;
/// either is accepted everywhere.
pub(super) fn read(answer: &Answer) -> Body {
    let bytes = without_bom(&answer.body);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Body::Empty;
    }
    match serde_json::from_slice(bytes) {
        Ok(value) => Body::Json(value),
        Err(error) => {
            let kind = answer.header("content-type").unwrap_or("no content type");
            let what = if looks_like_html(bytes) || kind.contains("html") {
                "an HTML page instead of JSON".to_owned()
            } else if error.is_eof() {
                format!("JSON that breaks off after {} bytes", bytes.len())
            } else {
                format!("no JSON ({error})")
            };
            Body::Nonsense(format!("the answer is {what} (content type: {kind})"))
        }
    }
}

/// Text of an error answer that is no JSON: plain text as it is, a page not at all.
pub(super) fn plain_text(answer: &Answer) -> Option<String> {
    let bytes = without_bom(&answer.body);
    if looks_like_html(bytes) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

fn looks_like_html(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'<')
}
