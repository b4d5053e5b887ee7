//! Offboarding: the fold, what can only be said now, and the log → protobuf.

use crate::application::service::{LoggedEvent, Status};
use crate::domain::describe::{self, Consequence};
use crate::domain::event::ExternalReference;
use crate::domain::failure::UpstreamFailure;
use crate::domain::offboarding::{Effect, Offboarding, Outcome, Verification};
use crate::domain::policy::Policy;
use crate::domain::time::Time;
use crate::domain::waiting::Waiting;
use crate::grpc::proto;

use super::preview::{blocker, resource};
use super::{enums, timestamp};

/// An offboarding. One that was only validated has no id.
pub(in crate::grpc) fn offboarding(status: &Status) -> proto::Offboarding {
    let Status {
        offboarding: run,
        alias,
        next_action,
        waiting,
    } = status;
    proto::Offboarding {
        offboarding_id: if run.id.0.is_nil() {
            String::new()
        } else {
            run.id.to_string()
        },
        partner_tenant_id: run.request.partner.to_string(),
        partner: alias.as_ref().map(ToString::to_string).unwrap_or_default(),
        customer_id: run.request.customer.to_string(),
        customer_name: run.customer_name.clone(),
        state: enums::state(run.state) as i32,
        state_since_time: Some(timestamp(run.state_since)),
        create_time: Some(timestamp(run.created)),
        update_time: Some(timestamp(run.updated)),
        next_action_time: next_action.map(timestamp),
        sequence: signed(run.sequence),
        requested_by: run.caller.to_string(),
        reason: run.request.reason.clone(),
        policy: Some(policy(run.request.policy)),
        not_before: run.request.not_before.map(timestamp),
        labels: run.request.labels.clone().into_iter().collect(),
        external_references: run.request.references.iter().map(reference).collect(),
        plan_hash: run
            .plan_hash
            .map(|hash| hash.to_string())
            .unwrap_or_default(),
        effects: run.effects.iter().flatten().map(effect).collect(),
        // What stands is what the authorised effects do not clear.
        blockers: run.blockers.iter().map(|b| blocker(b, false)).collect(),
        waiting: waiting.as_ref().map(self::waiting),
        last_upstream_error: run
            .last_failure
            .as_ref()
            .map(|(at, failure)| upstream_error(*at, failure)),
        removal_attempts: run.removal.attempts.try_into().unwrap_or(i32::MAX),
        verification: run
            .verification
            .as_ref()
            .map(|seen| verification(run, seen)),
        outcome: run
            .outcome
            .as_ref()
            .map(|outcome| self::outcome(run, outcome)),
        cancellation: run.cancellation.as_ref().map(|c| proto::Cancellation {
            requested_by: c.caller.to_string(),
            reason: c.reason.clone(),
            time: Some(timestamp(c.at)),
        }),
        correlation_id: run.correlation.to_string(),
    }
}

/// One entry of the log.
pub(in crate::grpc) fn event(logged: &LoggedEvent) -> proto::OffboardingEvent {
    proto::OffboardingEvent {
        sequence: signed(logged.event.sequence),
        time: Some(timestamp(logged.event.at)),
        r#type: describe::event_type(&logged.event.body).to_owned(),
        message: describe::event(&logged.event.body),
        state: enums::state(logged.state) as i32,
        json: logged.text.clone(),
        hash: hex::encode(logged.hash),
    }
}

/// Sequences count events of one log; none reaches the end of an i64.
pub(super) fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

fn policy(policy: Policy) -> proto::Policy {
    proto::Policy {
        suspend: policy.suspend,
    }
}

fn reference(reference: &ExternalReference) -> proto::ExternalReference {
    proto::ExternalReference {
        system: reference.system.clone(),
        id: reference.id.clone(),
    }
}

fn effect(effect: &Effect) -> proto::Effect {
    proto::Effect {
        resource: Some(resource(&effect.action.resource)),
        action: effect.action.action.as_str().to_owned(),
        state: enums::progress(&effect.progress) as i32,
        attempts: effect.attempts.try_into().unwrap_or(i32::MAX),
        detail: describe::effect_detail(effect),
        update_time: Some(timestamp(effect.updated)),
    }
}

fn waiting(waiting: &Waiting) -> proto::Waiting {
    proto::Waiting {
        party: enums::party(waiting.on) as i32,
        message: waiting.message.clone(),
        until_time: waiting.until.map(timestamp),
    }
}

fn upstream_error(at: Time, failure: &UpstreamFailure) -> proto::UpstreamError {
    let text = |member: &Option<String>| member.clone().unwrap_or_default();
    proto::UpstreamError {
        class: failure.class.as_str().to_owned(),
        call: failure.call.clone(),
        http_status: failure.status.map_or(0, i32::from),
        code: text(&failure.code),
        message: failure.text.clone(),
        ms_request_id: text(&failure.request_id),
        ms_correlation_id: text(&failure.correlation_id),
        ms_cv: text(&failure.ms_cv),
        time: Some(timestamp(at)),
    }
}

fn verification(run: &Offboarding, seen: &Verification) -> proto::Verification {
    let shown = describe::consequences(run, seen);
    proto::Verification {
        start_time: Some(timestamp(seen.began)),
        looks: seen.looks.try_into().unwrap_or(i32::MAX),
        first_gone_time: seen.first_gone.map(timestamp),
        second_gone_time: describe::second_gone(seen).map(timestamp),
        unlisted_time: seen.unlisted.map(timestamp),
        audit: seen.audit.as_ref().map(|record| proto::AuditWitness {
            record_id: record.id.clone(),
            operation_time: Some(timestamp(record.at)),
            correlated: record.correlated,
            performed_by: record.by.clone().unwrap_or_default(),
        }),
        off_customer_list: Some(consequence(shown.off_customer_list)),
        off_support_contacts: Some(consequence(shown.off_support_contacts)),
        delegated_admin_ended: Some(consequence(shown.delegated_admin_ended)),
        purchasing_ended: Some(consequence(shown.purchasing_ended)),
    }
}

fn consequence(consequence: Consequence) -> proto::Consequence {
    proto::Consequence {
        state: enums::shown(consequence.shown) as i32,
        shown_by: consequence.by,
    }
}

fn outcome(run: &Offboarding, outcome: &Outcome) -> proto::Outcome {
    proto::Outcome {
        reason: outcome.reason.as_str().to_owned(),
        message: outcome.message.clone(),
        time: Some(timestamp(outcome.at)),
        not_restored: describe::not_restored(run),
    }
}
