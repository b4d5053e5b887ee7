//! The files of this repository, for the tests that read them.

use std::fs;
use std::path::{Path, PathBuf};

/// Where `Cargo.toml` lies.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a file, named relative to the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Paths of all files that belong to the repository, relative to the root, with `/`, sorted.
///
/// Builds, the history and hidden folders (installed tools, editors) other than `.ci` are left out;
/// symbolic links are not followed.
pub(crate) fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            let path = folder.join(&name);
            if kind.is_dir() {
                let hidden = name.starts_with('.') && name != ".ci";
                if !hidden && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            // In a linked worktree `.git` is a file.
            } else if kind.is_file() && name != ".git" {
                found.push(path.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}
