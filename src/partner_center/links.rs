//! Links in answers: only ever followed below the configured base URL.

use url::Url;

/// Where a link of an answer leads: with or without `/v1`, relative or absolute.
///
/// # Errors
/// A sentence: the link leads to another host or out of the base path. Our token never goes there.
pub(super) fn resolve(base: &Url, link: &str) -> Result<Url, String> {
    let elsewhere = || format!("a link leads elsewhere: {link:.200}");
    let text = link.trim();
    let base_path = base.path().trim_end_matches('/');
    let found = if text.contains("://") {
        Url::parse(text).map_err(|_| elsewhere())?
    } else {
        if text.is_empty() || text.starts_with("//") || text.contains('\\') {
            return Err(elsewhere());
        }
        let path = text.trim_start_matches('/');
        let versioned = path
            .get(..2)
            .is_some_and(|start| start.eq_ignore_ascii_case("v1"))
            && matches!(path.as_bytes().get(2), None | Some(b'/' | b'?'));
        let below = if versioned {
            path.to_owned()
        } else {
            format!("v1/{path}")
        };
        let whole = format!("{}{base_path}/{below}", origin(base));
        Url::parse(&whole).map_err(|_| elsewhere())?
    };
    let same_origin = found.origin() == base.origin();
    let below_base = found.path().strip_prefix(base_path).is_some_and(|rest| {
        rest.get(..4)
            .is_some_and(|v| v.eq_ignore_ascii_case("/v1/"))
    });
    let plain = found.username().is_empty() && found.password().is_none();
    if same_origin && below_base && plain {
        Ok(found)
    } else {
        Err(elsewhere())
    }
}

fn origin(base: &Url) -> String {
    base.origin().ascii_serialization()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_below_the_base_with_and_without_version() {
        for base in ["https://api.example", "https://gate.example/pc"] {
            let base = Url::parse(base).unwrap();
            let wanted = format!(
                "{}/v1/customers/x?size=4",
                base.as_str().trim_end_matches('/')
            );
            for link in [
                "/customers/x?size=4",
                "customers/x?size=4",
                "/v1/customers/x?size=4",
                "v1/customers/x?size=4",
                wanted.as_str(),
            ] {
                assert_eq!(resolve(&base, link).unwrap().as_str(), wanted, "{link}");
            }
        }
    }

    #[test]
    fn links_that_lead_elsewhere_are_refused() {
        let base = Url::parse("https://api.example/pc").unwrap();
        for link in [
            "",
            "//evil.example/v1/x",
            "https://evil.example/pc/v1/x",
            "http://api.example/pc/v1/x",
            "https://api.example:444/pc/v1/x",
            "https://user@api.example/pc/v1/x",
            "https://api.example/other/v1/x",
            "/v1/../../other",
            "/../../v2/x",
            "\\\\evil.example/x",
        ] {
            assert!(resolve(&base, link).is_err(), "{link}");
        }
    }
}
