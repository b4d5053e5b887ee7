//! docs/errors.md explains every reason, docs/events.md every event, and neither explains what is not there.

use std::collections::BTreeSet;

use relationship_service::domain::blocker;
use relationship_service::domain::event::{EndReason, EventBody};
use relationship_service::grpc::errors::Reason;

use crate::repository;

fn headings(file: &str) -> Vec<String> {
    repository::read(file)
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.trim().to_owned())
        .collect()
}

#[test]
fn every_reason_has_a_heading_and_every_heading_is_a_reason() {
    let reasons: BTreeSet<String> = Reason::ALL
        .iter()
        .map(|reason| reason.as_str())
        .chain(blocker::Reason::ALL.iter().map(|reason| reason.as_str()))
        .chain(EndReason::ALL.iter().map(|reason| reason.as_str()))
        .map(str::to_owned)
        .collect();
    let headings = headings("docs/errors.md");
    let unique: BTreeSet<String> = headings.iter().cloned().collect();
    assert_eq!(unique.len(), headings.len(), "a heading stands twice");
    assert_eq!(unique, reasons);
}

#[test]
fn every_event_has_a_heading_and_every_heading_is_an_event() {
    // serde says which types there are when it meets one that it does not know.
    let unknown = serde_json::from_str::<EventBody>(r#"{"type": "?"}"#).unwrap_err();
    let unknown = unknown.to_string();
    let (_, list) = unknown.split_once("expected one of").unwrap();
    let types: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert!(types.len() > 20, "{types:?}");
    assert_eq!(headings("docs/events.md"), types);
}
