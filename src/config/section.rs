//! Section: reads typed values out of one level of the tree and reports everything that is wrong.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::layers::{Node, Origin};
use super::problem::{Report, Reported};

/// A value, or `None` where the key is absent, or a problem that was reported.
pub(super) type Read<T> = Result<Option<T>, Reported>;

/// One level of the tree. Keys that nobody asked for are problems when it is closed.
pub(super) struct Section<'r> {
    path: String,
    entries: BTreeMap<String, Node>,
    asked: Vec<&'static str>,
    report: &'r Report,
}

impl<'r> Section<'r> {
    pub(super) fn new(path: &str, entries: BTreeMap<String, Node>, report: &'r Report) -> Self {
        Self {
            path: path.to_owned(),
            entries,
            asked: Vec::new(),
            report,
        }
    }

    /// Full path of a key in this section.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else if key.is_empty() {
            self.path.clone()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Reports that something is wrong with a key here.
    pub(super) fn problem(
        &self,
        key: &str,
        origin: Option<&Origin>,
        wrong: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Reported {
        self.report.add(
            self.key(key),
            origin.map(ToString::to_string),
            wrong,
            remedy,
        )
    }

    /// The section below a key; an empty one where the key is absent.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'r> {
        self.asked.push(key);
        let entries = match self.entries.remove(key) {
            Some(Node::Section(entries)) => entries,
            Some(Node::Value(_, origin)) => {
                let path = self.key(key);
                self.problem(
                    key,
                    Some(&origin),
                    "is a value where a section is expected",
                    format!("Write a section: [{path}]."),
                );
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        };
        Section::new(&self.key(key), entries, self.report)
    }

    /// Every entry as a section of its own, by its name.
    pub(super) fn into_sections(self) -> Vec<(String, Section<'r>)> {
        let mut sections = Vec::new();
        for (name, node) in self.entries {
            let path = format!("{}.{name}", self.path);
            match node {
                Node::Section(entries) => {
                    sections.push((name, Section::new(&path, entries, self.report)));
                }
                Node::Value(_, origin) => {
                    self.report.add(
                        path.clone(),
                        Some(origin.to_string()),
                        "is a value where a section is expected",
                        format!("Write a section: [{path}]."),
                    );
                }
            }
        }
        sections
    }

    fn value(&mut self, key: &'static str) -> Read<(toml::Value, Origin)> {
        self.asked.push(key);
        match self.entries.remove(key) {
            None => Ok(None),
            Some(Node::Value(value, origin)) => Ok(Some((value, origin))),
            Some(Node::Section(_)) => Err(self.problem(
                key,
                None,
                "is a section where a value is expected",
                "Write a single value.",
            )),
        }
    }

    /// A text and where it came from.
    pub(super) fn text(&mut self, key: &'static str) -> Read<(String, Origin)> {
        match self.value(key)? {
            None => Ok(None),
            Some((toml::Value::String(text), origin)) => Ok(Some((text, origin))),
            Some((other, origin)) => Err(self.problem(
                key,
                Some(&origin),
                format!("must be a text, not {}", kind(&other)),
                "Put the value in quotes.",
            )),
        }
    }

    /// A text that parses as `T`. `remedy` says what a right value looks like.
    pub(super) fn parsed<T>(&mut self, key: &'static str, remedy: &str) -> Read<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some((text, origin)) = self.text(key)? else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|error| self.problem(key, Some(&origin), format!("{text:?}: {error}"), remedy))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Read<T> {
        let Some((text, origin)) = self.text(key)? else {
            return Ok(None);
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*value));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(self.problem(
            key,
            Some(&origin),
            format!("{text:?} is none of the known words"),
            format!("Use one of: {}.", known.join(", ")),
        ))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Read<bool> {
        let (value, origin) = match self.value(key)? {
            None => return Ok(None),
            Some(found) => found,
        };
        match (&value, &origin) {
            (toml::Value::Boolean(value), _) => Ok(Some(*value)),
            (toml::Value::String(text), Origin::Environment(_) | Origin::Flag(_))
                if text == "true" || text == "false" =>
            {
                Ok(Some(text == "true"))
            }
            _ => Err(self.problem(
                key,
                Some(&origin),
                format!("must be true or false, not {value}"),
                "Write true or false, without quotes.",
            )),
        }
    }

    /// A whole number in a range.
    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Read<u32> {
        let (value, origin) = match self.value(key)? {
            None => return Ok(None),
            Some(found) => found,
        };
        let number = match (&value, &origin) {
            (toml::Value::Integer(number), _) => Some(*number),
            (toml::Value::String(text), Origin::Environment(_) | Origin::Flag(_)) => {
                text.parse().ok()
            }
            _ => None,
        };
        number
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| range.contains(number))
            .map(Some)
            .ok_or_else(|| {
                self.problem(
                    key,
                    Some(&origin),
                    format!("{value} is no whole number in range"),
                    format!(
                        "Use a whole number from {} to {}, without quotes.",
                        range.start(),
                        range.end()
                    ),
                )
            })
    }

    /// A length of time such as `30m`, in a range.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Read<Duration> {
        let Some((text, origin)) = self.text(key)? else {
            return Ok(None);
        };
        let remedy = format!(
            "Use a length of time from {} to {}, such as \"90s\", \"30m\" or \"24h\".",
            show(*range.start()),
            show(*range.end())
        );
        match duration(&text) {
            Some(length) if range.contains(&length) => Ok(Some(length)),
            Some(_) => Err(self.problem(
                key,
                Some(&origin),
                format!("{text:?} is out of range"),
                remedy,
            )),
            None => Err(self.problem(
                key,
                Some(&origin),
                format!("{text:?} is no length of time"),
                remedy,
            )),
        }
    }

    /// A path; must not be empty.
    pub(super) fn path(&mut self, key: &'static str) -> Read<PathBuf> {
        match self.text(key)? {
            None => Ok(None),
            Some((text, origin)) if text.is_empty() => {
                Err(self.problem(key, Some(&origin), "is empty", "Name a file."))
            }
            Some((text, _)) => Ok(Some(PathBuf::from(text))),
        }
    }

    /// A key that must be there.
    pub(super) fn required<T>(
        &self,
        key: &str,
        read: Read<T>,
        remedy: impl Into<String>,
    ) -> Result<T, Reported> {
        read?.ok_or_else(|| self.problem(key, None, "is missing", remedy))
    }

    /// Whether nothing is left in this section.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn close(self) {
        for (key, node) in &self.entries {
            let origin = match node {
                Node::Value(_, origin) => Some(origin),
                Node::Section(_) => None,
            };
            let mut known = self.asked.clone();
            known.sort_unstable();
            known.dedup();
            self.problem(
                key,
                origin,
                "there is no such key",
                format!("Known here: {}.", known.join(", ")),
            );
        }
    }
}

/// Reads `500ms`, `90s`, `30m`, `24h`, `1h 30m`.
fn duration(text: &str) -> Option<Duration> {
    let length: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(length).ok()
}

/// Writes a length of time as [`duration`] reads it.
fn show(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{}ms", length.as_millis()),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

fn kind(value: &toml::Value) -> &'static str {
    match value {
        toml::Value::String(_) => "a text",
        toml::Value::Integer(_) | toml::Value::Float(_) => "a number",
        toml::Value::Boolean(_) => "true or false",
        toml::Value::Datetime(_) => "a date",
        toml::Value::Array(_) => "a list",
        toml::Value::Table(_) => "a section",
    }
}
