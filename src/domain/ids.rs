//! Identifiers: parsed once at the edge, impossible to mix up inside.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is no identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is not a GUID in its 36-character form.
    #[error("must be a GUID such as 0c39d6d5-c70d-4c55-bc02-f620844f3fd1")]
    NotAGuid,
    /// The text is a GUID that names nothing (all zeroes).
    #[error("must not be the all-zero GUID")]
    Nil,
    /// The text does not fit the grammar of a partner alias.
    #[error("must be 1 to 40 of a-z, 0-9, '-', '_', beginning with a letter or digit")]
    NotAnAlias,
}

fn parse_guid(text: &str) -> Result<Uuid, InvalidId> {
    // Uuid::parse_str also takes braces, URNs and 32 bare digits; Partner Center does not.
    if text.len() != 36 {
        return Err(InvalidId::NotAGuid);
    }
    let id = Uuid::parse_str(text).map_err(|_| InvalidId::NotAGuid)?;
    if id.is_nil() {
        return Err(InvalidId::Nil);
    }
    Ok(id)
}

macro_rules! guid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_guid(text).map(Self)
            }
        }
    };
}

guid! {
    /// The Entra tenant of a partner: the identity of one Partner Center account.
    PartnerTenantId
}
guid! {
    /// The Entra tenant of a customer.
    CustomerId
}
guid! {
    /// One offboarding (UUIDv7: sorts by time of acceptance).
    OffboardingId
}
guid! {
    /// What a caller sends to make acceptance happen once (any UUID).
    RequestId
}
guid! {
    /// `MS-CorrelationId` of every upstream call made for one offboarding.
    CorrelationId
}

/// The short name by which configuration and callers know a partner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartnerAlias(String);

impl PartnerAlias {
    /// The alias as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PartnerAlias {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let starts_well = text
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if starts_well && text.len() <= 40 && text.chars().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId::NotAnAlias)
        }
    }
}

impl TryFrom<String> for PartnerAlias {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<PartnerAlias> for String {
    fn from(alias: PartnerAlias) -> Self {
        alias.0
    }
}

impl fmt::Display for PartnerAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asked. `local` where callers are not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallerId(pub String);

impl CallerId {
    /// The caller of a service that does not authenticate its callers.
    pub fn local() -> Self {
        Self("local".to_owned())
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of something that lives below a customer upstream (subscription, order line, transfer …).
///
/// Kept as upstream spells it, compared without regard to case: Partner Center returns the GUIDs
/// of legacy subscriptions in both cases.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(pub String);

impl ResourceId {
    /// The id as upstream spelled it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The spelling used for comparing, sorting and hashing.
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl From<&str> for ResourceId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for ResourceId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for ResourceId {}

impl std::hash::Hash for ResourceId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

impl PartialOrd for ResourceId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ResourceId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.canonical().cmp(&other.canonical())
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_id_is_a_hyphenated_guid_and_nothing_else() {
        assert!(
            "0c39d6d5-c70d-4c55-bc02-f620844f3fd1"
                .parse::<CustomerId>()
                .is_ok()
        );
        assert!(
            "0C39D6D5-C70D-4C55-BC02-F620844F3FD1"
                .parse::<CustomerId>()
                .is_ok()
        );
        for wrong in [
            "",
            "contoso",
            "0c39d6d5c70d4c55bc02f620844f3fd1",
            "{0c39d6d5-c70d-4c55-bc02-f620844f3fd1}",
            "urn:uuid:0c39d6d5-c70d-4c55-bc02-f620844f3fd1",
            "0c39d6d5-c70d-4c55-bc02-f620844f3fdg",
        ] {
            assert_eq!(
                wrong.parse::<CustomerId>(),
                Err(InvalidId::NotAGuid),
                "{wrong}"
            );
        }
        assert_eq!(
            "00000000-0000-0000-0000-000000000000".parse::<CustomerId>(),
            Err(InvalidId::Nil)
        );
    }

    #[test]
    fn resource_ids_differ_only_by_more_than_case() {
        assert_eq!(ResourceId::from("A356AC8C"), ResourceId::from("a356ac8c"));
        assert_ne!(ResourceId::from("A356AC8C"), ResourceId::from("A356AC8D"));
    }

    #[test]
    fn aliases_are_lower_case_words() {
        for right in ["contoso", "contoso-eu_2", "9lives"] {
            assert!(right.parse::<PartnerAlias>().is_ok(), "{right}");
        }
        for wrong in ["", "-eu", "Contoso", "a b", &"x".repeat(41)] {
            assert!(wrong.parse::<PartnerAlias>().is_err(), "{wrong}");
        }
    }
}
