//! Floors of the dependency tree that Cargo.lock must keep; bans and licences are in `deny.toml`.

use crate::repository;

/// Versions that Cargo.lock holds of `name`, as (major, minor, patch).
fn locked(lock: &str, name: &str) -> Vec<(u64, u64, u64)> {
    let lock: toml::Table = lock.parse().unwrap();
    lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package["name"].as_str() == Some(name))
        .map(|package| {
            let version = package["version"].as_str().unwrap();
            let number = version.split(['-', '+']).next().unwrap();
            let parts: Vec<u64> = number
                .split('.')
                .map(|part| part.parse().unwrap())
                .collect();
            (parts[0], parts[1], parts[2])
        })
        .collect()
}

/// The floor comes from RUSTSEC-2026-0258, which names every h2 before 0.4.16.
#[test]
fn h2_is_not_vulnerable() {
    let versions = locked(&repository::read("Cargo.lock"), "h2");
    assert!(!versions.is_empty(), "h2 carries gRPC; where did it go?");
    assert!(
        versions.iter().all(|version| *version >= (0, 4, 16)),
        "{versions:?}"
    );
}

#[test]
fn every_locked_version_of_a_name_is_seen() {
    let lock = "[[package]]\nname = \"h2\"\nversion = \"0.4.9\"\n
                [[package]]\nname = \"h2\"\nversion = \"0.5.0-rc.1\"\n
                [[package]]\nname = \"h3\"\nversion = \"1.0.0\"\n";
    assert_eq!(locked(lock, "h2"), [(0, 4, 9), (0, 5, 0)]);
}
