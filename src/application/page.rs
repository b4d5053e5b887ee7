//! Page tokens: opaque to callers, bound to what was asked and by whom.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::error::Error;

#[derive(Serialize, Deserialize)]
struct Token<T> {
    /// What the token is for.
    b: String,
    /// Where the next page begins.
    p: T,
}

/// What a token is bound to: the caller and everything that decides which rows there are.
pub fn binding(caller: &str, question: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(caller.as_bytes());
    hasher.update([0]);
    hasher.update(question.as_bytes());
    hex::encode(&hasher.finalize()[..12])
}

/// Makes a token.
pub fn write<T: Serialize>(binding: &str, position: T) -> String {
    // Plain data with text keys; writing it as JSON cannot fail.
    let text = serde_json::to_vec(&Token {
        b: binding.to_owned(),
        p: position,
    })
    .unwrap_or_default();
    URL_SAFE_NO_PAD.encode(text)
}

/// Reads a token; `None` for the empty token of a first page.
///
/// # Errors
/// [`Error::InvalidPageToken`] when it is none of ours, or bound to something else.
pub fn read<T: DeserializeOwned>(binding: &str, token: &str) -> Result<Option<T>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let text = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| Error::InvalidPageToken)?;
    let token: Token<T> = serde_json::from_slice(&text).map_err(|_| Error::InvalidPageToken)?;
    if token.b != binding {
        return Err(Error::InvalidPageToken);
    }
    Ok(Some(token.p))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_question_and_caller_only() {
        let ours = binding("ann", "state=FAILED");
        let token = write(&ours, (3_i64, "x".to_owned()));
        assert_eq!(
            read::<(i64, String)>(&ours, &token).unwrap(),
            Some((3, "x".to_owned()))
        );
        for other in [
            binding("bob", "state=FAILED"),
            binding("ann", "state=SUCCEEDED"),
        ] {
            assert!(matches!(
                read::<(i64, String)>(&other, &token),
                Err(Error::InvalidPageToken)
            ));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let ours = binding("ann", "");
        assert!(read::<u64>(&ours, "").unwrap().is_none());
        for wrong in ["x", "!!!!", "e30", "bnVsbA", &"A".repeat(10_000)] {
            assert!(
                matches!(read::<u64>(&ours, wrong), Err(Error::InvalidPageToken)),
                "{wrong}"
            );
        }
    }
}
