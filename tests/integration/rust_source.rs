//! Rust source read as tokens: the paths it names, without comments and strings in the way.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One identifier, literal, delimiter or punctuation mark; `::` is one token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path such as `crate::store::Store`, one for each leaf of a `use` tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// One file of `src`.
pub(crate) struct RustSource {
    /// Relative to the repository, for example `src/grpc/errors.rs`.
    pub(crate) file: String,
    pub(crate) text: String,
    tokens: Vec<Token>,
}

impl RustSource {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let stream: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{file} is not Rust: {error}"));
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        Self {
            file: file.into(),
            text: text.into(),
            tokens,
        }
    }

    /// Names of the modules from the crate's root to this file; empty for `lib.rs` and `main.rs`.
    pub(crate) fn module(&self) -> Vec<String> {
        let inside = self.file.strip_prefix("src/").unwrap_or(&self.file);
        let inside = inside.strip_suffix(".rs").unwrap_or(inside);
        let mut names: Vec<String> = inside.split('/').map(str::to_owned).collect();
        if matches!(
            names.last().map(String::as_str),
            Some("mod" | "lib" | "main")
        ) {
            names.pop();
        }
        names
    }

    /// All tokens, those of test code included.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The tokens without the items under `#[cfg(test)]`.
    pub(crate) fn product_tokens(&self) -> Vec<Token> {
        let mut kept = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            match end_of_test_item(&self.tokens, at) {
                Some(end) => at = end,
                None => {
                    kept.push(self.tokens[at].clone());
                    at += 1;
                }
            }
        }
        kept
    }

    /// Modules that this file declares as `#[cfg(test)] mod name;`, as paths from the crate's root.
    pub(crate) fn test_modules(&self) -> Vec<Vec<String>> {
        (0..self.tokens.len())
            .filter_map(|at| {
                let item = &self.tokens[at..end_of_test_item(&self.tokens, at)?];
                let [.., keyword, name, end] = item else {
                    return None;
                };
                (keyword.text == "mod" && end.text == ";").then(|| {
                    let mut module = self.module();
                    module.push(name.text.clone());
                    module
                })
            })
            .collect()
    }

    /// Every path among `tokens` that names something of this crate, written from the crate's root.
    ///
    /// `crate::`, `self::`, `super::` and `relationship_service::` are resolved; a path that ends at
    /// the root itself has one segment, `crate`.
    pub(crate) fn crate_paths(&self, tokens: &[Token]) -> Vec<Path> {
        let mut inline: Vec<(String, usize)> = Vec::new();
        let mut depth = 0;
        let mut found = Vec::new();
        for at in 0..tokens.len() {
            match tokens[at].text.as_str() {
                "{" => {
                    depth += 1;
                    if at >= 2 && tokens[at - 2].text == "mod" {
                        inline.push((tokens[at - 1].text.clone(), depth));
                    }
                }
                "}" => {
                    inline.pop_if(|(_, opened)| *opened == depth);
                    depth -= 1;
                }
                _ => {}
            }
            for path in paths_at(tokens, at) {
                let mut here = self.module();
                here.extend(inline.iter().map(|(name, _)| name.clone()));
                if let Some(segments) = from_root(here, &path.segments) {
                    found.push(Path { segments, ..path });
                }
            }
        }
        found
    }
}

/// Every path of two or more segments among `tokens`, and every single name that is imported.
pub(crate) fn paths(tokens: &[Token]) -> Vec<Path> {
    (0..tokens.len())
        .flat_map(|at| paths_at(tokens, at))
        .collect()
}

/// Where the tokens `pattern` follow each other; their lines.
pub(crate) fn sequences(tokens: &[Token], pattern: &[&str]) -> Vec<usize> {
    tokens
        .windows(pattern.len())
        .filter(|window| window.iter().map(|token| &token.text).eq(pattern))
        .map(|window| window[0].line)
        .collect()
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    let mut colon = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: String, line| into.push(Token { text, line });
        let was_colon = std::mem::take(&mut colon);
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.into(), line);
                flatten(group.stream(), into);
                into.push(Token {
                    text: close.into(),
                    line: group.span_close().start().line,
                });
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                if was_colon {
                    if let Some(last) = into.last_mut() {
                        last.text = "::".into();
                    }
                } else {
                    push(":".into(), line);
                    colon = punct.spacing() == proc_macro2::Spacing::Joint;
                }
            }
            other => push(other.to_string(), line),
        }
    }
}

/// If an item under `#[cfg(test)]` begins at `start`: the index behind it.
fn end_of_test_item(tokens: &[Token], start: usize) -> Option<usize> {
    let text = |at: usize| tokens.get(at).map(|token| token.text.as_str());
    let marked = ["#", "[", "cfg", "(", "test", ")", "]"];
    if !marked
        .iter()
        .enumerate()
        .all(|(n, mark)| text(start + n) == Some(mark))
    {
        return None;
    }
    let mut at = start + marked.len();
    while text(at) == Some("#") {
        at = behind_group(tokens, at + 1);
    }
    while text(at) == Some("pub") {
        at += 1;
        if text(at) == Some("(") {
            at = behind_group(tokens, at);
        }
    }
    // Fields, arms and statements end otherwise; they count as product code.
    let keyword = text(at)?;
    if ![
        "mod", "use", "fn", "async", "impl", "struct", "enum", "trait", "type", "const", "static",
    ]
    .contains(&keyword)
    {
        return None;
    }
    while let Some(token) = text(at) {
        match token {
            ";" => return Some(at + 1),
            "{" if keyword != "use" => return Some(behind_group(tokens, at)),
            "{" | "(" | "[" => at = behind_group(tokens, at),
            _ => at += 1,
        }
    }
    Some(at)
}

/// The index behind the group that opens at `open`.
fn behind_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The paths that begin at `at`: none in the middle of a path, several for a `use` tree.
fn paths_at(tokens: &[Token], at: usize) -> Vec<Path> {
    let before = at.checked_sub(1).map(|at| tokens[at].text.as_str());
    if before == Some("::")
        && at
            .checked_sub(2)
            .is_some_and(|at| is_name(&tokens[at].text))
    {
        return Vec::new();
    }
    let imported =
        before == Some("use") || before == Some("::") && at >= 2 && tokens[at - 2].text == "use";
    let mut found = Vec::new();
    leaves(tokens, at, &mut Vec::new(), &mut found);
    found.retain(|path| path.segments.len() > 1 || imported);
    found
}

/// Collects the leaves of the path or `use` tree at `at`; returns the index behind it.
fn leaves(tokens: &[Token], at: usize, prefix: &mut Vec<String>, found: &mut Vec<Path>) -> usize {
    let Some(token) = tokens.get(at) else {
        return at;
    };
    if token.text == "{" && !prefix.is_empty() {
        let end = behind_group(tokens, at);
        let mut next = at + 1;
        while next + 1 < end {
            let length = prefix.len();
            next = leaves(tokens, next, prefix, found);
            prefix.truncate(length);
            // Behind a leaf: `as name`, a comma.
            while next + 1 < end && tokens[next].text != "," {
                next += 1;
            }
            next += 1;
        }
        return end;
    }
    if !is_name(&token.text) && (token.text != "*" || prefix.is_empty()) {
        return at + 1;
    }
    prefix.push(token.text.clone());
    if tokens.get(at + 1).is_some_and(|next| next.text == "::")
        && tokens
            .get(at + 2)
            .is_some_and(|next| is_name(&next.text) || next.text == "{" || next.text == "*")
    {
        return leaves(tokens, at + 2, prefix, found);
    }
    found.push(Path {
        segments: prefix.clone(),
        line: token.line,
    });
    at + 1
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first == '_' || first.is_alphabetic())
        && !text.contains(['"', '\''])
}

/// `segments`, written in module `here`, from the crate's root; `None` if they name another crate.
fn from_root(mut here: Vec<String>, segments: &[String]) -> Option<Vec<String>> {
    let mut rest = segments;
    match segments.first().map(String::as_str) {
        Some("crate" | "relationship_service") => here.clear(),
        Some("self") => {}
        Some("super") => {
            here.pop();
        }
        _ => return None,
    }
    rest = &rest[1..];
    while let [first, tail @ ..] = rest {
        match first.as_str() {
            "super" => {
                here.pop();
            }
            "self" => {}
            _ => break,
        }
        rest = tail;
    }
    here.extend_from_slice(rest);
    if here.is_empty() {
        here.push("crate".into());
    }
    Some(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product_paths(file: &str, text: &str) -> Vec<String> {
        let source = RustSource::new(file, text);
        let tokens = source.product_tokens();
        source
            .crate_paths(&tokens)
            .into_iter()
            .map(|path| path.segments.join("::"))
            .collect()
    }

    #[test]
    fn use_trees_and_inline_paths_are_resolved() {
        let text = "use crate::{domain::{self, ids::CustomerId as Id}, store};
            use super::super::http::*;
            pub(crate) fn f() { crate::grpc::serve::<u8>(); self::own(); }";
        assert_eq!(
            product_paths("src/cli/remove.rs", text),
            [
                "domain::self",
                "domain::ids::CustomerId",
                "store",
                "http::*",
                "grpc::serve",
                "cli::remove::own",
            ]
        );
    }

    #[test]
    fn super_climbs_out_of_inline_modules_first() {
        let text = "mod inner { use super::here; mod deep { use super::super::super::store; } } use super::grpc;";
        assert_eq!(
            product_paths("src/http.rs", text),
            ["http::here", "store", "grpc"]
        );
    }

    #[test]
    fn comments_strings_and_test_items_name_nothing() {
        let text = r##"//! crate::store
            /* crate::store */ /// [`crate::store`]
            const A: &str = "crate::store"; const B: &str = r#"crate::store"#; const C: char = '"';
            #[cfg(test)] #[allow(dead_code)] mod tests { use crate::store; }
            #[cfg(test)] use crate::{store, grpc};
            #[cfg(test)] pub(crate) fn f() -> [u8; 2] { crate::store::f() }
            use crate::domain;"##;
        assert_eq!(product_paths("src/http.rs", text), ["domain"]);
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_found() {
        let source = RustSource::new(
            "src/store/mod.rs",
            "#[cfg(test)]\nmod contract;\nmod sqlite;",
        );
        assert_eq!(source.test_modules(), [["store", "contract"]]);
    }
}
