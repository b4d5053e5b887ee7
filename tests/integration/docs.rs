//! The documents are true where a machine can tell: links lead somewhere, commands exist, nothing private.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use crate::repository;

/// A Markdown file, taken apart as far as the rules below need.
#[derive(Debug, Default, PartialEq)]
struct Document {
    /// Targets of inline links and link definitions, with their line.
    links: Vec<(usize, String)>,
    /// Anchors that its headings make.
    anchors: BTreeSet<String>,
    /// Code: lines of fenced blocks and spans in backticks, with their line.
    code: Vec<(usize, String)>,
    /// The line of a fence that is never closed.
    open_fence: Option<usize>,
}

impl Document {
    fn parse(text: &str) -> Self {
        let mut document = Self::default();
        for (line, content) in (1..).zip(text.lines()) {
            if content.trim_start().starts_with("```") {
                document.open_fence = match document.open_fence {
                    Some(_) => None,
                    None => Some(line),
                };
            } else if document.open_fence.is_some() {
                document.code.push((line, content.trim().into()));
            } else {
                document.prose(line, content);
            }
        }
        document
    }

    fn prose(&mut self, line: usize, content: &str) {
        if let Some(heading) = content.strip_prefix('#') {
            let anchor = anchor(heading.trim_start_matches('#'));
            let repeats = (1..).map(|n| format!("{anchor}-{n}"));
            let free = std::iter::once(anchor.clone())
                .chain(repeats)
                .find(|anchor| !self.anchors.contains(anchor));
            self.anchors.extend(free);
        }
        let mut prose = String::new();
        for (n, part) in content.split('`').enumerate() {
            if n % 2 == 0 {
                prose.push_str(part);
            } else {
                self.code.push((line, part.trim().into()));
            }
        }
        let inline = prose
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let defined = prose
            .starts_with('[')
            .then(|| prose.split_once("]: "))
            .flatten()
            .map(|(_, target)| target);
        for target in inline.chain(defined) {
            let target = target.split_whitespace().next().unwrap_or_default();
            self.links
                .push((line, target.trim_matches(['<', '>']).into()));
        }
    }
}

/// The anchor that a heading gets where the documents are read: lower case, spaces to hyphens, marks gone.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

fn documents() -> Vec<(String, Document)> {
    repository::files()
        .into_iter()
        .filter(|file| file.ends_with(".md"))
        .map(|file| {
            let document = Document::parse(&repository::read(&file));
            (file, document)
        })
        .collect()
}

/// `target`, as written in `file`, from the root; `None` if it leaves the repository.
fn resolve(file: &str, target: &str) -> Option<String> {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut parts: Vec<String> = Vec::new();
    for component in folder.join(target).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// Why `target` in `file` leads nowhere.
fn broken_link(file: &str, target: &str, documents: &[(String, Document)]) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let resolved = if path.is_empty() {
        file.to_owned()
    } else {
        match resolve(file, path) {
            Some(resolved) => resolved,
            None => return Some("leaves the repository".into()),
        }
    };
    if !repository::root().join(&resolved).exists() {
        return Some("does not exist".into());
    }
    let linked = documents.iter().find(|(name, _)| *name == resolved);
    match linked {
        Some((_, document)) if !fragment.is_empty() && !document.anchors.contains(fragment) => {
            Some(format!("{resolved} has no heading for #{fragment}"))
        }
        _ => None,
    }
}

/// Targets that the Makefile has.
fn make_targets() -> BTreeSet<String> {
    repository::read("Makefile")
        .lines()
        .filter(|line| !line.starts_with([' ', '\t', '#', '.']))
        .filter_map(|line| line.split_once(':'))
        .filter(|(_, rest)| !rest.starts_with('='))
        .map(|(target, _)| target.trim().to_owned())
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let documents = &documents();
    let broken: Vec<String> = documents
        .iter()
        .flat_map(|(file, document)| {
            document.links.iter().filter_map(move |(line, target)| {
                broken_link(file, target, documents)
                    .map(|why| format!("{file}:{line}: {target}: {why}"))
            })
        })
        .collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn every_code_block_is_closed() {
    let open: Vec<String> = documents()
        .iter()
        .filter_map(|(file, document)| Some(format!("{file}:{}", document.open_fence?)))
        .collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn every_make_command_in_the_documents_exists() {
    let targets = &make_targets();
    assert!(
        targets.contains("test"),
        "the Makefile is not read as expected: {targets:?}"
    );
    let unknown: Vec<String> = documents()
        .iter()
        .flat_map(|(file, document)| {
            document.code.iter().filter_map(move |(line, code)| {
                let target = code.strip_prefix("make ")?.split_whitespace().next()?;
                (!targets.contains(target)).then(|| format!("{file}:{line}: make {target}"))
            })
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_first_screen_of_the_readme_has_both_commands() {
    let readme = repository::read("README.md");
    let first_screen: Vec<&str> = readme.lines().take(40).collect();
    let document = Document::parse(&first_screen.join("\n"));
    for target in ["demo", "test"] {
        let command = ["make", target];
        assert!(
            document
                .code
                .iter()
                .any(|(_, code)| code.split_whitespace().take(2).eq(command)),
            "README.md does not name `make {target}` within its first 40 lines"
        );
    }
}

/// Paths of one person's machine and hosts of one company's registry help nobody else.
#[test]
fn nothing_private_is_in_the_repository() {
    // In two parts, so that this file does not hold what it looks for.
    const FOLDERS: [&str; 4] = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
    ];
    const HOSTS: [&str; 5] = [
        concat!("artifac", "tory"),
        concat!("registry.npm", "js.org"),
        concat!("static.crates", ".io"),
        concat!("index.crates", ".io"),
        concat!("files.python", "hosted.org"),
    ];
    let mut found = Vec::new();
    for file in repository::files() {
        let bytes = std::fs::read(repository::root().join(&file)).unwrap();
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        for (line, content) in (1..).zip(text.lines()) {
            let private = FOLDERS.iter().any(|folder| names_folder(content, folder))
                || HOSTS.iter().any(|host| content.contains(host));
            if private {
                found.push(format!("{file}:{line}: {}", content.trim()));
            }
        }
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// Whether `line` names `folder` as an absolute path, not as the middle of a longer one or of an address.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-*}~/".contains(before))
    })
}

#[test]
fn the_npm_lock_file_names_no_registry() {
    let lock: serde_json::Value =
        serde_json::from_str(&repository::read("tools/package-lock.json")).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    assert!(packages.len() > 1, "nothing is locked");
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        assert!(
            package.get("resolved").is_none(),
            "{name} is bound to a host"
        );
        assert!(
            package["integrity"].is_string(),
            "{name} is not pinned by its content"
        );
    }
}

#[test]
fn documents_are_taken_apart_as_readers_see_them() {
    let text = "# The errors: `A_B`, again\n## Same\n## Same\n\
        See [one](docs/one.md#part) and ![two](<two.png> \"Two\"), not `[three](three.md)`.\n\
        [four]: four.md\n\
        ```sh\n# no heading\nmake demo # [no](link.md)\n```\n\
        Run `make test`.\n\
        ```\n";
    let document = Document::parse(text);
    let links: Vec<&str> = document
        .links
        .iter()
        .map(|(_, target)| target.as_str())
        .collect();
    assert_eq!(links, ["docs/one.md#part", "two.png", "four.md"]);
    let anchors: Vec<&str> = document.anchors.iter().map(String::as_str).collect();
    assert_eq!(anchors, ["same", "same-1", "the-errors-a_b-again"]);
    assert!(
        document
            .code
            .contains(&(8, "make demo # [no](link.md)".into()))
    );
    assert!(document.code.contains(&(10, "make test".into())));
    assert_eq!(document.open_fence, Some(11));
}

#[test]
fn links_that_lead_nowhere_are_noticed() {
    let file = "CONTRIBUTING.md";
    let documents = [(file.to_owned(), Document::parse("# Here\n"))];
    let leads = |target| broken_link(file, target, &documents).is_none();
    assert!(leads("tools/../Cargo.toml"));
    assert!(leads("https://example.com/nowhere"));
    assert!(leads("#here"));
    assert!(!leads("#there"));
    assert!(!leads("missing.md"));
    assert!(!leads("../Cargo.toml"));
    assert!(!leads("/Cargo.toml"));
}

#[test]
fn absolute_folders_are_told_from_parts_of_paths() {
    let folder = concat!("/wo", "rk/");
    assert!(names_folder(&format!("cd {folder}x"), folder));
    assert!(names_folder(&format!("\"{folder}x\""), folder));
    assert!(!names_folder(
        &format!("https://example.com{folder}x"),
        folder
    ));
    assert!(!names_folder(&format!("${{ROOT}}{folder}x"), folder));
}
