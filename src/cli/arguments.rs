//! Arguments of the client commands, and the requests they stand for.

use std::time::Duration;

use clap::Args;

use crate::grpc::proto::{
    self, BlockerReason, CustomerSelector, ExternalReference, OffboardingFilter, OffboardingState,
    Party, Policy,
};

/// `preview`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    relationship-service preview 7d6e7a5e-3f44-4b6c-9a53-2f0c6f0a4c11\n  \
    relationship-service preview 7d6e7a5e-3f44-4b6c-9a53-2f0c6f0a4c11 --suspend --exit-code")]
pub(crate) struct PreviewArgs {
    #[command(flatten)]
    customer: CustomerArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// End with exit code 3 when the removal would be refused.
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// `remove`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    relationship-service remove 7d6e7a5e-3f44-4b6c-9a53-2f0c6f0a4c11 --suspend \\\n      \
    --reason \"contract ended\" --reference ticket=INC-4711 --wait\n  \
    relationship-service remove 7d6e7a5e-3f44-4b6c-9a53-2f0c6f0a4c11 --suspend \\\n      \
    --reason \"contract ended\" --plan-hash \"$hash\" --not-before 2027-01-01T00:00:00Z")]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    customer: CustomerArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Why; goes to the record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// UUID that makes repeating safe: the same id again returns the same offboarding. Made and
    /// printed when left out.
    #[arg(long, value_name = "UUID")]
    pub(crate) request_id: Option<String>,
    /// The plan hash of a preview; refused if the plan is another one by now.
    #[arg(long, value_name = "HASH")]
    plan_hash: Option<String>,
    /// Not to be begun earlier: RFC 3339, or a day (its start in UTC).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    not_before: Option<prost_types::Timestamp>,
    /// Label for finding it again; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Ticket, CRM case or the like; may be repeated.
    #[arg(long = "reference", value_name = "SYSTEM=ID", value_parser = pair)]
    references: Vec<(String, String)>,
    /// Run every check and show what would be accepted, without accepting it.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) validate_only: bool,
    /// Follow it until it has ended; the exit code says how.
    #[arg(long)]
    pub(crate) wait: bool,
}

/// `status`
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("which").required(true).args(["offboarding", "customer", "reference"]),
    after_help = "Examples:\n  \
    relationship-service status 01938f6e-8d3a-7b1e-9c55-0c9d6a1f2b3c\n  \
    relationship-service status --customer 7d6e7a5e-3f44-4b6c-9a53-2f0c6f0a4c11\n  \
    relationship-service status --reference ticket=INC-4711 --json"
)]
pub(crate) struct StatusArgs {
    /// Id of the offboarding.
    offboarding: Option<String>,
    /// The newest offboarding of this customer.
    #[arg(long, value_name = "GUID")]
    customer: Option<String>,
    /// Alias or tenant GUID of the partner of --customer; not needed when there is only one.
    #[arg(long, requires = "customer")]
    partner: Option<String>,
    /// The newest offboarding with this ticket, CRM case or the like.
    #[arg(long, value_name = "SYSTEM=ID", value_parser = pair)]
    reference: Option<(String, String)>,
}

/// `events`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    relationship-service events 01938f6e-8d3a-7b1e-9c55-0c9d6a1f2b3c")]
pub(crate) struct EventsArgs {
    /// Id of the offboarding.
    pub(crate) offboarding: String,
}

/// `watch`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    relationship-service watch 01938f6e-8d3a-7b1e-9c55-0c9d6a1f2b3c\n\n\
    Ends with exit code 0 when the relationship is gone, 6 when it ended FAILED or CANCELLED,\n\
    7 when it ended UNCONFIRMED. With --json: one JSON object per line, as it comes.")]
pub(crate) struct WatchArgs {
    /// Id of the offboarding.
    pub(crate) offboarding: String,
    /// Only events after this one.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) after_sequence: i64,
}

/// `list`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    relationship-service list --state blocked --state clearing\n  \
    relationship-service list --waiting-on microsoft --created-from 2026-11-01 --all --json\n\n\
    Different options are joined by \"and\", repeated ones by \"or\" (labels and references by \"and\").")]
pub(crate) struct ListArgs {
    /// State, e.g. blocked; may be repeated.
    #[arg(long = "state", value_parser = state)]
    states: Vec<OffboardingState>,
    /// Alias or tenant GUID of a partner; may be repeated.
    #[arg(long = "partner")]
    partners: Vec<String>,
    /// Customer; may be repeated.
    #[arg(long = "customer", value_name = "GUID")]
    customers: Vec<String>,
    /// Label that must be there; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Reference that must be there; may be repeated.
    #[arg(long = "reference", value_name = "SYSTEM=ID", value_parser = pair)]
    references: Vec<(String, String)>,
    /// Reason of a standing blocker, e.g. transfer_pending; may be repeated.
    #[arg(long = "blocker", value_name = "REASON", value_parser = blocker)]
    blockers: Vec<BlockerReason>,
    /// On whom it waits: service, partner, customer, microsoft or time; may be repeated.
    #[arg(long = "waiting-on", value_name = "PARTY", value_parser = party)]
    waiting_on: Vec<Party>,
    /// Accepted at or after.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    created_from: Option<prost_types::Timestamp>,
    /// Accepted before.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    created_before: Option<prost_types::Timestamp>,
    /// Newest event at or after.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    updated_from: Option<prost_types::Timestamp>,
    /// Newest event before.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    updated_before: Option<prost_types::Timestamp>,
    /// How many at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,
    /// The token that the page before ended with.
    #[arg(long, value_name = "TOKEN", conflicts_with = "all")]
    page_token: Option<String>,
    /// All pages.
    #[arg(long)]
    pub(crate) all: bool,
}

/// `cancel`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    relationship-service cancel 01938f6e-8d3a-7b1e-9c55-0c9d6a1f2b3c --reason \"customer stays\"")]
pub(crate) struct CancelArgs {
    /// Id of the offboarding.
    pub(crate) offboarding: String,
    /// Why; goes to the record.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Follow it until everything is put back.
    #[arg(long)]
    pub(crate) wait: bool,
}

/// `link`
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// Alias or tenant GUID of the partner; not needed when there is only one.
    #[arg(long)]
    pub(crate) partner: Option<String>,
}

#[derive(Debug, Args)]
struct CustomerArgs {
    /// Entra tenant GUID of the customer.
    #[arg(value_name = "CUSTOMER")]
    customer: String,
    /// Alias or tenant GUID of the partner; not needed when there is only one.
    #[arg(long)]
    partner: Option<String>,
}

#[derive(Debug, Args)]
struct PolicyArgs {
    /// Allow suspending active legacy subscriptions, trials and add-ons included.
    #[arg(long)]
    suspend: bool,
}

impl PolicyArgs {
    fn policy(&self) -> Policy {
        Policy {
            suspend: self.suspend,
        }
    }
}

impl PreviewArgs {
    pub(crate) fn request(&self) -> proto::PreviewRemovalRequest {
        proto::PreviewRemovalRequest {
            partner: self.customer.partner.clone().unwrap_or_default(),
            customer_id: self.customer.customer.clone(),
            policy: Some(self.policy.policy()),
        }
    }
}

impl RemoveArgs {
    pub(crate) fn request(&self, request_id: &str) -> proto::RemoveRelationshipRequest {
        proto::RemoveRelationshipRequest {
            partner: self.customer.partner.clone().unwrap_or_default(),
            customer_id: self.customer.customer.clone(),
            request_id: request_id.to_owned(),
            validate_only: self.validate_only,
            plan_hash: self.plan_hash.clone().unwrap_or_default(),
            policy: Some(self.policy.policy()),
            not_before: self.not_before,
            reason: self.reason.clone(),
            labels: self.labels.iter().cloned().collect(),
            external_references: references(&self.references),
        }
    }
}

impl StatusArgs {
    pub(crate) fn request(&self) -> proto::GetOffboardingStatusRequest {
        use proto::get_offboarding_status_request::Selector;
        let selector = match (&self.offboarding, &self.customer, &self.reference) {
            (Some(id), _, _) => Some(Selector::OffboardingId(id.clone())),
            (None, Some(customer), _) => Some(Selector::NewestOf(CustomerSelector {
                partner: self.partner.clone().unwrap_or_default(),
                customer_id: customer.clone(),
            })),
            (None, None, Some((system, id))) => {
                Some(Selector::ExternalReference(ExternalReference {
                    system: system.clone(),
                    id: id.clone(),
                }))
            }
            // clap requires one of them.
            (None, None, None) => None,
        };
        proto::GetOffboardingStatusRequest { selector }
    }
}

impl ListArgs {
    pub(crate) fn request(&self) -> proto::ListOffboardingsRequest {
        proto::ListOffboardingsRequest {
            page_size: self.page_size,
            page_token: self.page_token.clone().unwrap_or_default(),
            filter: Some(OffboardingFilter {
                states: self.states.iter().map(|state| *state as i32).collect(),
                partners: self.partners.clone(),
                customer_ids: self.customers.clone(),
                labels: self.labels.iter().cloned().collect(),
                external_references: references(&self.references),
                blocker_reasons: self.blockers.iter().map(|reason| *reason as i32).collect(),
                waiting_on: self.waiting_on.iter().map(|party| *party as i32).collect(),
                create_time_from: self.created_from,
                create_time_before: self.created_before,
                update_time_from: self.updated_from,
                update_time_before: self.updated_before,
            }),
        }
    }
}

fn references(pairs: &[(String, String)]) -> Vec<ExternalReference> {
    pairs
        .iter()
        .map(|(system, id)| ExternalReference {
            system: system.clone(),
            id: id.clone(),
        })
        .collect()
}

/// `key=value`; the value may hold further `=`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must have the form KEY=VALUE".to_owned()),
    }
}

/// RFC 3339, or a day.
fn moment(text: &str) -> Result<prost_types::Timestamp, String> {
    let at = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| {
            text.parse::<jiff::civil::Date>()
                .and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC))
                .map(|start| start.timestamp())
        })
        .map_err(|_| "must be RFC 3339 (2027-01-01T00:00:00Z) or a day (2027-01-01)".to_owned())?;
    Ok(prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    })
}

/// `30s`, `5m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|length| Duration::try_from(length).ok())
        .filter(|length| !length.is_zero())
        .ok_or_else(|| "must be a length of time such as 30s or 5m".to_owned())
}

fn state(text: &str) -> Result<OffboardingState, String> {
    OffboardingState::from_str_name(&format!("OFFBOARDING_STATE_{}", upper(text)))
        .filter(|state| *state != OffboardingState::Unspecified)
        .ok_or_else(|| {
            "known: scheduled, blocked, clearing, removing, verifying, restoring, succeeded, \
             unconfirmed, failed, cancelled"
                .to_owned()
        })
}

fn blocker(text: &str) -> Result<BlockerReason, String> {
    BlockerReason::from_str_name(&format!("BLOCKER_REASON_{}", upper(text)))
        .filter(|reason| *reason != BlockerReason::Unspecified)
        .ok_or_else(|| "no such reason; docs/errors.md lists them".to_owned())
}

fn party(text: &str) -> Result<Party, String> {
    Party::from_str_name(&format!("PARTY_{}", upper(text)))
        .filter(|party| *party != Party::Unspecified)
        .ok_or_else(|| "known: service, partner, customer, microsoft, time".to_owned())
}

fn upper(text: &str) -> String {
    text.to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339_or_days() {
        assert_eq!(
            moment("2023-11-14T22:13:20Z").unwrap().seconds,
            1_700_000_000
        );
        assert_eq!(moment("2023-11-15").unwrap().seconds, 1_700_006_400);
        assert!(moment("tomorrow").is_err());
    }

    #[test]
    fn states_parties_and_reasons_are_read_in_any_case() {
        assert_eq!(state("Blocked"), Ok(OffboardingState::Blocked));
        assert_eq!(party("MICROSOFT"), Ok(Party::Microsoft));
        assert_eq!(
            blocker("transfer-pending"),
            Ok(BlockerReason::TransferPending)
        );
        for wrong in ["", "unspecified", "gone"] {
            assert!(state(wrong).is_err(), "{wrong}");
            assert!(party(wrong).is_err(), "{wrong}");
            assert!(blocker(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pairs_split_at_the_first_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err());
        assert!(pair("=a").is_err());
    }
}
