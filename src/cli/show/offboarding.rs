//! One offboarding for people: where it stands, what it waits for, what was seen.

use crate::cli::screen::{Screen, Tone};
use crate::cli::words;
use crate::grpc::proto::{
    ConsequenceState, Effect, EffectState, Offboarding, OffboardingState, UpstreamError,
    Verification,
};

/// The whole offboarding.
pub(crate) fn text(offboarding: &Offboarding, screen: Screen) -> String {
    let mut out = headline(offboarding, screen);
    out.push_str(&about(offboarding, screen));
    if let Some(waiting) = &offboarding.waiting {
        let until = match &waiting.until_time {
            Some(at) => format!(", until {} at the latest", words::moment(Some(at))),
            None => String::new(),
        };
        out.push_str(&format!(
            "\n{}",
            screen.paragraph(
                &format!(
                    "Waits for {}: {}{until}",
                    words::party(waiting.party()),
                    waiting.message.trim_end_matches('.'),
                ),
                2
            )
        ));
    }
    if !offboarding.effects.is_empty() {
        out.push('\n');
        out.push_str(&effects(&offboarding.effects, screen));
    }
    if !offboarding.blockers.is_empty() {
        out.push('\n');
        out.push_str(&super::preview::blockers(&offboarding.blockers, screen));
    }
    if let Some(verification) = &offboarding.verification {
        out.push('\n');
        out.push_str(&consequences(verification, screen));
        out.push('\n');
        out.push_str(&witnesses(verification, screen));
    }
    if let Some(error) = &offboarding.last_upstream_error {
        out.push('\n');
        out.push_str(&upstream_error(error, screen));
    }
    if let Some(outcome) = &offboarding.outcome {
        out.push('\n');
        out.push_str(&screen.paragraph(&format!("{}: {}", outcome.reason, outcome.message), 2));
        for sentence in &outcome.not_restored {
            out.push_str(&screen.paragraph(&format!("Not put back: {sentence}"), 2));
        }
    }
    out
}

/// The name of the customer and the state.
pub(crate) fn headline(offboarding: &Offboarding, screen: Screen) -> String {
    let state = offboarding.state();
    let name = if offboarding.customer_name.is_empty() {
        &offboarding.customer_id
    } else {
        &offboarding.customer_name
    };
    format!(
        "{}  {}\n",
        screen.paint(Tone::Strong, name),
        screen.paint(tone(state), words::state(state)),
    )
}

/// The tone of a state.
pub(crate) fn tone(state: OffboardingState) -> Tone {
    match state {
        OffboardingState::Succeeded => Tone::Good,
        OffboardingState::Failed | OffboardingState::Unconfirmed => Tone::Bad,
        OffboardingState::Blocked | OffboardingState::Restoring | OffboardingState::Cancelled => {
            Tone::Warn
        }
        _ => Tone::Plain,
    }
}

fn about(offboarding: &Offboarding, screen: Screen) -> String {
    let mut fields = Vec::new();
    if offboarding.offboarding_id.is_empty() {
        fields.push(("offboarding", "(not accepted: only validated)".to_owned()));
    } else {
        fields.push(("offboarding", offboarding.offboarding_id.clone()));
    }
    fields.push(("customer", offboarding.customer_id.clone()));
    let alias = if offboarding.partner.is_empty() {
        "(not configured any more)"
    } else {
        &offboarding.partner
    };
    fields.push((
        "partner",
        format!("{alias} ({})", offboarding.partner_tenant_id),
    ));
    if offboarding.state_since_time.is_some() {
        fields.push((
            "since",
            words::moment(offboarding.state_since_time.as_ref()),
        ));
    }
    if offboarding.create_time.is_some() {
        fields.push((
            "accepted",
            format!(
                "{} for {}",
                words::moment(offboarding.create_time.as_ref()),
                offboarding.requested_by
            ),
        ));
    }
    fields.push(("why", offboarding.reason.clone()));
    let allowed = match offboarding.policy {
        Some(policy) if policy.suspend => "suspend",
        _ => "nothing",
    };
    fields.push(("allowed", allowed.to_owned()));
    if offboarding.not_before.is_some() {
        fields.push(("not before", words::moment(offboarding.not_before.as_ref())));
    }
    if offboarding.next_action_time.is_some() {
        fields.push((
            "looks again",
            words::moment(offboarding.next_action_time.as_ref()),
        ));
    }
    if !offboarding.labels.is_empty() {
        let mut labels: Vec<_> = offboarding
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        labels.sort();
        fields.push(("labels", labels.join(", ")));
    }
    if !offboarding.external_references.is_empty() {
        let references: Vec<_> = offboarding
            .external_references
            .iter()
            .map(|reference| format!("{}={}", reference.system, reference.id))
            .collect();
        fields.push(("references", references.join(", ")));
    }
    if !offboarding.plan_hash.is_empty() {
        fields.push(("plan hash", offboarding.plan_hash.clone()));
    }
    if offboarding.removal_attempts > 0 {
        fields.push(("removals sent", offboarding.removal_attempts.to_string()));
    }
    if !offboarding.correlation_id.is_empty() {
        fields.push(("correlation", offboarding.correlation_id.clone()));
    }
    if let Some(cancellation) = &offboarding.cancellation {
        fields.push((
            "cancelled",
            format!(
                "{} by {}: {}",
                words::moment(cancellation.time.as_ref()),
                cancellation.requested_by,
                cancellation.reason
            ),
        ));
    }
    screen.fields(&fields)
}

/// How far each effect is.
pub(crate) fn effects(effects: &[Effect], screen: Screen) -> String {
    let mut table = screen.table(&["effect", "on", "state", "attempts", "detail"]);
    for effect in effects {
        let tone = match effect.state() {
            EffectState::Done | EffectState::DoneByOthers | EffectState::Restored => Tone::Good,
            EffectState::Refused | EffectState::NotRestored => Tone::Bad,
            EffectState::Retrying => Tone::Warn,
            _ => Tone::Plain,
        };
        table.add_row(vec![
            screen.cell(Tone::Plain, &effect.action),
            screen.cell(Tone::Plain, words::resource(effect.resource.as_ref())),
            screen.cell(tone, words::effect_state(effect.state())),
            screen.cell(Tone::Plain, effect.attempts),
            screen.cell(Tone::Faint, &effect.detail),
        ]);
    }
    screen.lay_out(&table)
}

/// The four consequences of a removal, each with what shows it.
pub(crate) fn consequences(verification: &Verification, screen: Screen) -> String {
    let mut table = screen.table(&["consequence", "seen", "shown by"]);
    for (name, consequence) in [
        ("off the customer list", &verification.off_customer_list),
        (
            "off the support contacts",
            &verification.off_support_contacts,
        ),
        ("delegated admin ended", &verification.delegated_admin_ended),
        ("purchasing ended", &verification.purchasing_ended),
    ] {
        let (state, shown_by) = match consequence {
            Some(consequence) => (consequence.state(), consequence.shown_by.as_str()),
            None => (ConsequenceState::Unspecified, ""),
        };
        let tone = match state {
            ConsequenceState::Shown => Tone::Good,
            ConsequenceState::NotShown => Tone::Warn,
            _ => Tone::Plain,
        };
        table.add_row(vec![
            screen.cell(Tone::Plain, name),
            screen.cell(tone, words::consequence_state(state)),
            screen.cell(Tone::Plain, shown_by),
        ]);
    }
    screen.lay_out(&table)
}

fn witnesses(verification: &Verification, screen: Screen) -> String {
    let mut fields = vec![
        (
            "looked for since",
            format!(
                "{}, {}",
                words::moment(verification.start_time.as_ref()),
                words::count(
                    usize::try_from(verification.looks).unwrap_or_default(),
                    "look",
                    "looks"
                )
            ),
        ),
        (
            "first said gone",
            words::moment(verification.first_gone_time.as_ref()),
        ),
        (
            "said so again",
            words::moment(verification.second_gone_time.as_ref()),
        ),
        (
            "not on the list",
            words::moment(verification.unlisted_time.as_ref()),
        ),
    ];
    let audit = match &verification.audit {
        None => "no record found".to_owned(),
        Some(audit) => format!(
            "{} by {}{}",
            words::moment(audit.operation_time.as_ref()),
            if audit.performed_by.is_empty() {
                "(not stated)"
            } else {
                &audit.performed_by
            },
            if audit.correlated {
                ", with the correlation id of this offboarding"
            } else {
                ""
            }
        ),
    };
    fields.push(("Microsoft's audit", audit));
    screen.fields(&fields)
}

fn upstream_error(error: &UpstreamError, screen: Screen) -> String {
    let mut out = format!(
        "  {}\n",
        screen.paint(Tone::Faint, "Last error of Partner Center")
    );
    let status = match error.http_status {
        0 => "no answer".to_owned(),
        status => format!("HTTP {status}"),
    };
    out.push_str(
        &screen.fields(&[
            ("what", format!("{} at {}", error.class, error.call)),
            (
                "answer",
                format!("{status} {} {}", error.code, error.message)
                    .trim_end()
                    .to_owned(),
            ),
            ("when", words::moment(error.time.as_ref())),
            ("MS-RequestId", error.ms_request_id.clone()),
            ("MS-CorrelationId", error.ms_correlation_id.clone()),
            ("MS-CV", error.ms_cv.clone()),
        ]),
    );
    out
}
