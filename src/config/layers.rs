//! Layers: one tree out of the file, the environment and the flags, each leaf knowing where it is from.

use std::collections::BTreeMap;
use std::fmt;

use super::problem::Report;

/// Prefix of the environment variables that are read.
const PREFIX: &str = "RELATIONSHIP_";

/// Variables with the prefix that are no keys: they say where to find the file and the service.
const NOT_KEYS: [&str; 2] = ["RELATIONSHIP_CONFIG", "RELATIONSHIP_SERVER"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File,
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the configuration file"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value or a section.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Value(toml::Value, Origin),
    Section(BTreeMap<String, Node>),
}

impl Node {
    fn from_file(value: toml::Value) -> Self {
        match value {
            toml::Value::Table(table) => Self::Section(
                table
                    .into_iter()
                    .map(|(key, value)| (key, Self::from_file(value)))
                    .collect(),
            ),
            other => Self::Value(other, Origin::File),
        }
    }
}

/// The tree that the file alone gives.
pub(super) fn from_file(table: toml::Table) -> BTreeMap<String, Node> {
    match Node::from_file(toml::Value::Table(table)) {
        Node::Section(entries) => entries,
        Node::Value(..) => BTreeMap::new(),
    }
}

/// Puts the environment over what is there: `RELATIONSHIP_LOG__LEVEL` is `log.level`.
pub(super) fn put_environment(
    root: &mut BTreeMap<String, Node>,
    environment: &[(String, String)],
    report: &Report,
) {
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if NOT_KEYS.contains(&name.as_str()) || is_service_link(rest) {
            continue;
        }
        let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        if path.iter().any(String::is_empty) {
            report.add(
                path.join("."),
                Some(Origin::Environment(name.clone()).to_string()),
                "the name of the variable has an empty part",
                "Write one part per level, joined by two underscores, e.g. RELATIONSHIP_LOG__LEVEL.",
            );
            continue;
        }
        let origin = Origin::Environment(name.clone());
        put(root, &path, value, origin, report);
    }
}

/// Puts one flag over what is there.
pub(super) fn put_flag(
    root: &mut BTreeMap<String, Node>,
    key: &str,
    flag: &'static str,
    value: &str,
    report: &Report,
) {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    put(root, &path, value, Origin::Flag(flag), report);
}

fn put(
    root: &mut BTreeMap<String, Node>,
    path: &[String],
    value: &str,
    origin: Origin,
    report: &Report,
) {
    let Some((last, sections)) = path.split_last() else {
        return;
    };
    let mut entries = root;
    for section in sections {
        let key = spelling_in(entries, section);
        let node = entries
            .entry(key)
            .or_insert_with(|| Node::Section(BTreeMap::new()));
        match node {
            Node::Section(below) => entries = below,
            Node::Value(..) => {
                report.add(
                    path.join("."),
                    Some(origin.to_string()),
                    format!("{section} is a value, not a section"),
                    "See docs/configuration.md for the keys there are.",
                );
                return;
            }
        }
    }
    if matches!(entries.get(last), Some(Node::Section(_))) {
        report.add(
            path.join("."),
            Some(origin.to_string()),
            "is a section, not a value",
            "Name a key inside it, joined by two underscores.",
        );
        return;
    }
    entries.insert(
        last.clone(),
        Node::Value(toml::Value::String(value.to_owned()), origin),
    );
}

/// Shells allow no `-` in names: `RELATIONSHIP_PARTNERS__CONTOSO_EU__…` means `partners.contoso-eu`
/// where the file has that one.
fn spelling_in(entries: &BTreeMap<String, Node>, section: &str) -> String {
    if entries.contains_key(section) {
        return section.to_owned();
    }
    entries
        .keys()
        .find(|key| key.replace('-', "_") == section)
        .cloned()
        .unwrap_or_else(|| section.to_owned())
}

/// Kubernetes sets such variables in every pod for every Service in the namespace; a Service named
/// `relationship-service` must not keep the process from starting.
fn is_service_link(rest: &str) -> bool {
    let tail = format!("_{rest}");
    if tail.ends_with("_SERVICE_HOST") || tail.contains("_SERVICE_PORT") {
        return true;
    }
    let Some((_, port)) = tail.rsplit_once("_PORT_") else {
        return tail.ends_with("_PORT") || is_port_detail(&tail);
    };
    is_port(port)
}

/// `…_PORT_50051_TCP_PORT`: the last `_PORT` is not the one before the number.
fn is_port_detail(tail: &str) -> bool {
    tail.split_once("_PORT_")
        .is_some_and(|(_, port)| is_port(port))
}

fn is_port(text: &str) -> bool {
    let mut parts = text.split('_');
    parts.next().is_some_and(|n| n.parse::<u16>().is_ok())
        && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"))
        && matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_kubernetes_sets_are_no_keys() {
        for name in [
            "SERVICE_SERVICE_HOST",
            "SERVICE_SERVICE_PORT",
            "SERVICE_SERVICE_PORT_GRPC",
            "SERVICE_PORT",
            "PORT",
            "SERVICE_PORT_50051_TCP",
            "SERVICE_PORT_50051_TCP_PROTO",
            "SERVICE_PORT_50051_TCP_PORT",
            "SERVICE_PORT_50051_TCP_ADDR",
        ] {
            assert!(is_service_link(name), "{name}");
        }
        for name in ["LISTEN", "LOG__LEVEL", "PARTNERS__A__TENANT", "REPORT"] {
            assert!(!is_service_link(name), "{name}");
        }
    }
}
