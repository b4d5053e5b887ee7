//! Problem: one thing that is wrong in the configuration, and what to do about it.

use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the key, e.g. `partners.contoso.tenant`.
    pub key: String,
    /// Where the value came from, e.g. `environment variable RELATIONSHIP_LISTEN`; `None` where there
    /// is no value.
    pub origin: Option<String>,
    /// What is wrong, in a sentence. Never holds the value of a secret.
    pub wrong: String,
    /// What to do, in a sentence.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        if let Some(origin) = &self.origin {
            write!(f, " (from {origin})")?;
        }
        write!(f, ": {}\n    {}", self.wrong, self.remedy)
    }
}

/// Everything that is wrong in the configuration, in the order in which it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has 1 problem:")?,
            n => write!(f, "the configuration has {n} problems:")?,
        }
        for problem in &self.0 {
            write!(f, "\n\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A problem was reported; there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reported;

/// Where problems are gathered while the configuration is read.
#[derive(Debug, Default)]
pub(super) struct Report(RefCell<Vec<Problem>>);

impl Report {
    pub(super) fn add(
        &self,
        key: impl Into<String>,
        origin: Option<String>,
        wrong: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Reported {
        self.0.borrow_mut().push(Problem {
            key: key.into(),
            origin,
            wrong: wrong.into(),
            remedy: remedy.into(),
        });
        Reported
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}
