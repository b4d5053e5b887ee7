//! Requests: protobuf → domain, with every violation of a request found at once.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use crate::application::error::{Error, Violation};
use crate::application::service::{ListFilter, Removal, Selector, Terms};
use crate::application::store::Filter;
use crate::domain::event::ExternalReference;
use crate::domain::ids::{CustomerId, OffboardingId};
use crate::domain::plan::PlanHash;
use crate::domain::policy::Policy;
use crate::domain::time::{Time, to_micros};
use crate::grpc::proto;

use super::enums;

const MAX_REASON: usize = 1_000;
const MAX_LABELS: usize = 32;
const MAX_LABEL_KEY: usize = 63;
const MAX_LABEL_VALUE: usize = 128;
const MAX_REFERENCES: usize = 16;
const MAX_REFERENCE_SYSTEM: usize = 63;
const MAX_REFERENCE_ID: usize = 256;
const MAX_PARTNER: usize = 64;
const MAX_PAGE: i32 = 1_000;
const MAX_FILTER_VALUES: usize = 100;
const EVENTS_PER_PAGE: u32 = 100;
const OFFBOARDINGS_PER_PAGE: u32 = 50;

/// Collects violations. Checks go on after one is found; what they return in its place is never used,
/// because [`Checks::finish`] fails.
#[derive(Default)]
struct Checks(Vec<Violation>);

impl Checks {
    fn violate(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation {
            field: field.into(),
            description: description.into(),
        });
    }

    /// The value, if nothing was wrong with anything.
    fn finish<T>(self, value: Option<T>) -> Result<T, Error> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Error::Invalid(self.0)),
        }
    }

    fn parse<T: FromStr<Err: std::fmt::Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        text.parse()
            .map_err(|error: T::Err| self.violate(field, error.to_string()))
            .ok()
    }

    /// A text of `min` to `max` characters without control characters.
    fn text(&mut self, field: &str, text: &str, min: usize, max: usize) {
        let length = text.chars().count();
        if min > 0 && text.trim().is_empty() {
            self.violate(field, format!("is required: {min} to {max} characters"));
        } else if length > max {
            self.violate(
                field,
                format!("must have at most {max} characters, not {length}"),
            );
        }
        if text.chars().any(char::is_control) {
            self.violate(
                field,
                "must not hold control characters (line breaks and tabs included)",
            );
        }
    }

    /// Alias or tenant of a partner. Whether it is configured is for the use case to say.
    fn partner(&mut self, field: &str, partner: &str) -> String {
        self.text(field, partner, 0, MAX_PARTNER);
        partner.to_owned()
    }

    fn time(&mut self, field: &str, at: Option<prost_types::Timestamp>) -> Option<Time> {
        let at = at?;
        let time = u32::try_from(at.nanos)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000)
            .filter(|_| at.seconds >= 0)
            .and_then(|_| Time::new(at.seconds, at.nanos).ok());
        if time.is_none() {
            self.violate(
                field,
                "must be a moment from 1970 to 9999, with nanos from 0 to 999999999",
            );
        }
        time.map(to_micros)
    }

    fn page_size(&mut self, size: i32, default: u32) -> u32 {
        match u32::try_from(size) {
            Ok(0) => default,
            Ok(given) if size <= MAX_PAGE => given,
            _ => {
                self.violate(
                    "page_size",
                    format!("must be 0 (for {default}) to {MAX_PAGE}, not {size}"),
                );
                default
            }
        }
    }

    fn labels(
        &mut self,
        field: &str,
        labels: HashMap<String, String>,
        max: usize,
    ) -> BTreeMap<String, String> {
        if labels.len() > max {
            self.violate(
                field,
                format!("must be at most {max} labels, not {}", labels.len()),
            );
        }
        // Sorted, so that the same request always gets the same violations.
        let labels: BTreeMap<String, String> = labels.into_iter().collect();
        for (key, value) in labels.iter().take(max) {
            let path = format!("{field}[{key:?}]");
            let legal = |c: char| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | '/')
            };
            if key.is_empty()
                || key.len() > MAX_LABEL_KEY
                || !key.starts_with(|c: char| c.is_ascii_lowercase())
                || !key.chars().all(legal)
            {
                self.violate(
                    &path,
                    format!(
                        "keys must be 1 to {MAX_LABEL_KEY} of a-z, 0-9, '-', '_', '.', '/', beginning \
                         with a letter"
                    ),
                );
            }
            self.text(&path, value, 0, MAX_LABEL_VALUE);
        }
        labels
    }

    fn reference(&mut self, field: &str, reference: proto::ExternalReference) -> ExternalReference {
        self.text(
            &format!("{field}.system"),
            &reference.system,
            1,
            MAX_REFERENCE_SYSTEM,
        );
        self.text(&format!("{field}.id"), &reference.id, 1, MAX_REFERENCE_ID);
        ExternalReference {
            system: reference.system,
            id: reference.id,
        }
    }

    fn references(
        &mut self,
        field: &str,
        references: Vec<proto::ExternalReference>,
        max: usize,
    ) -> Vec<ExternalReference> {
        if references.len() > max {
            self.violate(
                field,
                format!("must be at most {max} references, not {}", references.len()),
            );
        }
        let mut known: Vec<ExternalReference> = Vec::new();
        for (i, reference) in references.into_iter().take(max).enumerate() {
            let path = format!("{field}[{i}]");
            let reference = self.reference(&path, reference);
            if known.contains(&reference) {
                self.violate(&path, "is there twice");
            }
            known.push(reference);
        }
        known
    }

    /// The values of one field of a filter.
    fn values<P, T>(
        &mut self,
        field: &str,
        values: Vec<P>,
        mut read: impl FnMut(&mut Self, &str, P) -> Option<T>,
    ) -> Vec<T> {
        if values.len() > MAX_FILTER_VALUES {
            self.violate(
                field,
                format!(
                    "must be at most {MAX_FILTER_VALUES} values, not {}",
                    values.len()
                ),
            );
        }
        values
            .into_iter()
            .take(MAX_FILTER_VALUES)
            .enumerate()
            .filter_map(|(i, value)| read(self, &format!("{field}[{i}]"), value))
            .collect()
    }

    fn number<T>(&mut self, field: &str, number: i32, read: fn(i32) -> Option<T>) -> Option<T> {
        let known = read(number);
        if known.is_none() {
            self.violate(field, format!("{number} is none of the known values"));
        }
        known
    }
}

fn policy(policy: Option<proto::Policy>) -> Policy {
    Policy {
        suspend: policy.is_some_and(|policy| policy.suspend),
    }
}

/// What a preview is about.
pub(in crate::grpc) fn preview_request(
    request: proto::PreviewRemovalRequest,
) -> Result<(String, CustomerId, Policy), Error> {
    let mut checks = Checks::default();
    let partner = checks.partner("partner", &request.partner);
    let customer = checks.parse("customer_id", &request.customer_id);
    let policy = policy(request.policy);
    checks.finish(customer.map(|customer| (partner, customer, policy)))
}

/// What a removal is about.
pub(in crate::grpc) fn removal(
    request: proto::RemoveRelationshipRequest,
) -> Result<Removal, Error> {
    let mut checks = Checks::default();
    let partner = checks.partner("partner", &request.partner);
    let customer = checks.parse("customer_id", &request.customer_id);
    let request_id = checks.parse("request_id", &request.request_id);
    let plan_hash = match request.plan_hash.as_str() {
        "" => None,
        text => checks.parse::<PlanHash>("plan_hash", text),
    };
    let not_before = checks.time("not_before", request.not_before);
    checks.text("reason", &request.reason, 1, MAX_REASON);
    let labels = checks.labels("labels", request.labels, MAX_LABELS);
    let references = checks.references(
        "external_references",
        request.external_references,
        MAX_REFERENCES,
    );
    checks.finish(
        customer
            .zip(request_id)
            .map(|(customer, request_id)| Removal {
                partner,
                customer,
                request_id,
                validate_only: request.validate_only,
                terms: Terms {
                    policy: policy(request.policy),
                    not_before,
                    plan_hash,
                    reason: request.reason,
                    labels,
                    references,
                },
            }),
    )
}

/// How an offboarding is named.
pub(in crate::grpc) fn selector(
    request: proto::GetOffboardingStatusRequest,
) -> Result<Selector, Error> {
    use proto::get_offboarding_status_request::Selector as P;
    let mut checks = Checks::default();
    let selector = match request.selector {
        None => {
            checks.violate(
                "selector",
                "one of offboarding_id, newest_of, external_reference is required",
            );
            None
        }
        Some(P::OffboardingId(id)) => checks.parse("offboarding_id", &id).map(Selector::Id),
        Some(P::NewestOf(customer)) => {
            let partner = checks.partner("newest_of.partner", &customer.partner);
            checks
                .parse("newest_of.customer_id", &customer.customer_id)
                .map(|customer| Selector::Newest { partner, customer })
        }
        Some(P::ExternalReference(reference)) => Some(Selector::Reference(
            checks.reference("external_reference", reference),
        )),
    };
    checks.finish(selector)
}

/// Which page of which log.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::grpc) struct Events {
    pub(in crate::grpc) id: OffboardingId,
    pub(in crate::grpc) page_size: u32,
    pub(in crate::grpc) page_token: String,
}

/// Which page of which log.
pub(in crate::grpc) fn events(
    request: proto::ListOffboardingEventsRequest,
) -> Result<Events, Error> {
    let mut checks = Checks::default();
    let id = checks.parse("offboarding_id", &request.offboarding_id);
    let page_size = checks.page_size(request.page_size, EVENTS_PER_PAGE);
    checks.finish(id.map(|id| Events {
        id,
        page_size,
        page_token: request.page_token,
    }))
}

/// Which log, after which sequence.
pub(in crate::grpc) fn watch(
    request: proto::WatchOffboardingRequest,
) -> Result<(OffboardingId, u64), Error> {
    let mut checks = Checks::default();
    let id = checks.parse("offboarding_id", &request.offboarding_id);
    let after = u64::try_from(request.after_sequence).ok();
    if after.is_none() {
        checks.violate(
            "after_sequence",
            format!("must be 0 or more, not {}", request.after_sequence),
        );
    }
    checks.finish(id.zip(after))
}

/// Which page of which offboardings.
#[derive(Debug)]
pub(in crate::grpc) struct List {
    pub(in crate::grpc) filter: ListFilter,
    pub(in crate::grpc) page_size: u32,
    pub(in crate::grpc) page_token: String,
}

/// Which page of which offboardings.
pub(in crate::grpc) fn list(request: proto::ListOffboardingsRequest) -> Result<List, Error> {
    let mut checks = Checks::default();
    let page_size = checks.page_size(request.page_size, OFFBOARDINGS_PER_PAGE);
    let asked = request.filter.unwrap_or_default();
    let names = |names: Vec<&'static str>| names.into_iter().map(str::to_owned).collect();
    let filter = Filter {
        states: names(
            checks.values("filter.states", asked.states, |checks, field, number| {
                Some(checks.number(field, number, enums::state_of)?.as_str())
            }),
        ),
        partners: Vec::new(),
        customers: checks.values(
            "filter.customer_ids",
            asked.customer_ids,
            |checks, field, id| checks.parse(field, &id),
        ),
        labels: checks
            .labels("filter.labels", asked.labels, MAX_LABELS)
            .into_iter()
            .collect(),
        references: checks
            .references(
                "filter.external_references",
                asked.external_references,
                MAX_REFERENCES,
            )
            .into_iter()
            .map(|reference| (reference.system, reference.id))
            .collect(),
        blocker_reasons: names(checks.values(
            "filter.blocker_reasons",
            asked.blocker_reasons,
            |checks, field, number| Some(checks.number(field, number, enums::reason_of)?.as_str()),
        )),
        waiting_on: names(checks.values(
            "filter.waiting_on",
            asked.waiting_on,
            |checks, field, number| Some(checks.number(field, number, enums::party_of)?.as_str()),
        )),
        created_from: checks.time("filter.create_time_from", asked.create_time_from),
        created_before: checks.time("filter.create_time_before", asked.create_time_before),
        updated_from: checks.time("filter.update_time_from", asked.update_time_from),
        updated_before: checks.time("filter.update_time_before", asked.update_time_before),
    };
    let partners = checks.values(
        "filter.partners",
        asked.partners,
        |checks, field, partner| {
            checks.text(field, &partner, 1, MAX_PARTNER);
            Some(partner)
        },
    );
    checks.finish(Some(List {
        filter: ListFilter { partners, filter },
        page_size,
        page_token: request.page_token,
    }))
}

/// What to cancel, and why.
pub(in crate::grpc) fn cancel(
    request: proto::CancelOffboardingRequest,
) -> Result<(OffboardingId, String), Error> {
    let mut checks = Checks::default();
    let id = checks.parse("offboarding_id", &request.offboarding_id);
    checks.text("reason", &request.reason, 1, MAX_REASON);
    checks.finish(id.map(|id| (id, request.reason)))
}

/// Whose link.
pub(in crate::grpc) fn partner_only(
    request: proto::GetRelationshipRequestLinkRequest,
) -> Result<String, Error> {
    let mut checks = Checks::default();
    let partner = checks.partner("partner", &request.partner);
    checks.finish(Some(partner))
}
