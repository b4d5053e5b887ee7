//! Describe: what the domain knows, in sentences for people. Decides nothing.

use super::blocker::Resource;
use super::event::{AuditFinding, Basis, DoneHow, EventBody, Listed, Probe, Seen};
use super::ids::ResourceId;
use super::item::Item;
use super::offboarding::{Effect, Offboarding, Progress, Verification};
use super::plan::{Action, Group, PlannedAction};
use super::snapshot::{EntitlementKind, Part, Snapshot};
use super::time::Time;

/// How far apart two readings that say gone have to be to count as two witnesses, in seconds.
const WITNESS_SPACING_S: i64 = 60;

/// Whether a consequence of the removal was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It was seen.
    Yes,
    /// Looked for, and not (yet) seen.
    No,
    /// Not looked for.
    NotChecked,
}

/// One consequence of the removal and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consequence {
    /// Whether it was seen.
    pub shown: Shown,
    /// What shows it, or why it was not looked for, in a sentence.
    pub by: String,
}

impl Consequence {
    fn new(shown: Shown, by: impl Into<String>) -> Self {
        Self {
            shown,
            by: by.into(),
        }
    }
}

/// The four consequences that Microsoft's procedure names for a removed relationship.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consequences {
    /// The customer is off the partner's customer list.
    pub off_customer_list: Consequence,
    /// The partner is off the customer's support contacts.
    pub off_support_contacts: Consequence,
    /// Delegated admin privileges have ended.
    pub delegated_admin_ended: Consequence,
    /// Purchasing on the customer's behalf has ended.
    pub purchasing_ended: Consequence,
}

/// The second of two readings far enough apart that both said gone.
pub fn second_gone(seen: &Verification) -> Option<Time> {
    let (first, last) = seen.first_gone.zip(seen.last_gone)?;
    (last.duration_since(first).as_secs() >= WITNESS_SPACING_S).then_some(last)
}

/// What witnesses showed about each consequence.
pub fn consequences(offboarding: &Offboarding, seen: &Verification) -> Consequences {
    Consequences {
        off_customer_list: off_customer_list(seen),
        off_support_contacts: probed(
            seen.support_contact.as_ref(),
            "the support contact of a subscription",
            if offboarding.items.is_empty() {
                "Not checked: no subscription is known by which to ask for the support contact."
            } else {
                "Not checked: the support contact was not asked for."
            },
        ),
        delegated_admin_ended: Consequence::new(
            Shown::NotChecked,
            "Not checked: Microsoft Graph is not configured, and Partner Center does not show it for a \
             customer that is gone.",
        ),
        purchasing_ended: probed(
            seen.subscriptions.as_ref(),
            "the customer's subscriptions",
            "Not checked: the subscriptions were not asked for.",
        ),
    }
}

fn off_customer_list(seen: &Verification) -> Consequence {
    match (seen.first_gone, second_gone(seen), seen.unlisted) {
        (Some(first), Some(second), Some(unlisted)) => Consequence::new(
            Shown::Yes,
            format!(
                "Reading the customer said gone at {first:.0} and at {second:.0}, and the complete customer \
                 list read at {unlisted:.0} does not hold the customer."
            ),
        ),
        (Some(first), None, Some(unlisted)) => Consequence::new(
            Shown::No,
            format!(
                "Reading the customer said gone at {first:.0} and the customer list read at {unlisted:.0} \
                 does not hold the customer; a second reading has to say the same."
            ),
        ),
        (Some(first), _, None) => Consequence::new(
            Shown::No,
            format!(
                "Reading the customer said gone at {first:.0}, but no complete customer list without the \
                 customer was read yet."
            ),
        ),
        (None, ..) => Consequence::new(
            Shown::No,
            format!(
                "{} so far, and none said that the customer is gone.",
                count(seen.looks as usize, "look", "looks")
            ),
        ),
    }
}

fn probed(probe: Option<&Probe>, what: &str, unasked: &str) -> Consequence {
    match probe {
        None => Consequence::new(Shown::NotChecked, unasked),
        Some(Probe::Refused { answer }) => Consequence::new(
            Shown::Yes,
            format!("Partner Center refuses to show {what}: {answer}"),
        ),
        Some(Probe::Answered) => {
            Consequence::new(Shown::No, format!("Partner Center still shows {what}."))
        }
        Some(Probe::Failed { failure }) => Consequence::new(
            Shown::No,
            format!("Asking for {what} failed for another reason: {failure}"),
        ),
    }
}

/// One part of a snapshot, for the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRead {
    /// Name, as in [`Snapshot::failures`].
    pub name: String,
    /// When its answer came.
    pub at: Time,
    /// Whether it could be read.
    pub readable: bool,
}

/// Every part of a snapshot and when it was read.
pub fn parts(snapshot: &Snapshot) -> Vec<PartRead> {
    fn of<T>(name: impl Into<String>, part: &Part<T>) -> PartRead {
        PartRead {
            name: name.into(),
            at: part.at,
            readable: part.value.is_ok(),
        }
    }
    let mut parts = vec![
        of("customer", &snapshot.standing),
        of("subscriptions", &snapshot.subscriptions),
    ];
    for (parent, part) in &snapshot.add_ons {
        parts.push(of(format!("add-ons of {parent}"), part));
    }
    for (plan, part) in &snapshot.azure {
        parts.push(of(format!("Azure subscriptions of {plan}"), part));
    }
    parts.push(of("entitlements", &snapshot.entitlements));
    for entitlement in snapshot.entitlements.get().into_iter().flatten() {
        if let EntitlementKind::Reservation(details) = &entitlement.kind {
            for part in details {
                parts.push(of(
                    format!("reservation of order {}", entitlement.order_id),
                    part,
                ));
            }
        }
    }
    parts.push(of("transfers", &snapshot.transfers));
    parts.push(of("partner relationships", &snapshot.partner_model));
    parts
}

/// When the part that showed an item was read; `None` when no part shows it.
pub fn read_time(snapshot: &Snapshot, item: &Item) -> Option<Time> {
    use super::blocker::ResourceKind as Kind;
    let id = &item.resource.id;
    match item.resource.kind {
        Kind::Subscription => holds(&snapshot.subscriptions, |s| s.id == *id).or_else(|| {
            snapshot
                .add_ons
                .iter()
                .find_map(|(_, part)| holds(part, |s| s.id == *id))
        }),
        Kind::AzureSubscription => snapshot
            .azure
            .iter()
            .find_map(|(_, part)| holds(part, |a| a.id == *id)),
        Kind::Reservation => snapshot
            .entitlements
            .get()
            .into_iter()
            .flatten()
            .filter_map(|entitlement| match &entitlement.kind {
                EntitlementKind::Reservation(details) => Some(details),
                _ => None,
            })
            .flatten()
            .find_map(|part| holds(part, |r| r.id == *id))
            .or(Some(snapshot.entitlements.at)),
        Kind::Software => Some(snapshot.entitlements.at),
        Kind::Transfer => Some(snapshot.transfers.at),
        Kind::Customer | Kind::Partner | Kind::SnapshotPart => None,
    }
}

fn holds<T>(part: &Part<Vec<T>>, is_it: impl Fn(&T) -> bool) -> Option<Time> {
    part.get()?.iter().any(is_it).then_some(part.at)
}

/// The groups of a plan in order, numbered from 1 without a gap.
pub fn group_number(actions: &[PlannedAction], group: Group) -> u32 {
    let mut groups: Vec<Group> = actions.iter().map(|action| action.group).collect();
    groups.sort();
    groups.dedup();
    groups.iter().take_while(|known| **known < group).count() as u32 + 1
}

/// What happened last to an effect; empty when nothing did.
pub fn effect_detail(effect: &Effect) -> String {
    match &effect.progress {
        Progress::Todo => String::new(),
        Progress::Intended { .. } => "About to be sent; no outcome is recorded yet.".to_owned(),
        Progress::Unsettled {
            failure, retry_at, ..
        } => format!("Will be read and perhaps sent again at {retry_at:.0}: {failure}"),
        Progress::Done { how, .. } => done_how(*how).to_owned(),
        Progress::Refused { failure } => format!("Microsoft refused: {failure}"),
        Progress::RestoreIntended { .. } => {
            "About to be put back; no outcome is recorded yet.".to_owned()
        }
        Progress::RestoreUnsettled {
            failure, retry_at, ..
        } => format!("Putting it back will be tried again at {retry_at:.0}: {failure}"),
        Progress::Restored => "Put back.".to_owned(),
        Progress::NotRestored { why } => format!("Could not be put back: {why}"),
    }
}

fn done_how(how: DoneHow) -> &'static str {
    match how {
        DoneHow::Sent => "Done: Partner Center confirmed it.",
        DoneHow::FoundAfterSending => "Done: found so after it may have been sent.",
        DoneHow::WithParent => "Done: its parent took it along.",
        DoneHow::ByOthers => "Found done, though this run had not sent it.",
        DoneHow::Vanished => "The resource is not there any more.",
    }
}

/// What could not be put back, in sentences.
pub fn not_restored(offboarding: &Offboarding) -> Vec<String> {
    offboarding
        .effects
        .iter()
        .flatten()
        .filter_map(|effect| match &effect.progress {
            Progress::NotRestored { why } => {
                Some(format!("{}: {why}", named(&effect.action.resource)))
            }
            _ => None,
        })
        .collect()
}

fn named(resource: &Resource) -> String {
    if resource.name.is_empty() {
        resource.id.to_string()
    } else {
        format!("{} ({})", resource.name, resource.id)
    }
}

/// The type of an event, as its JSON member `type` spells it.
pub fn event_type(body: &EventBody) -> &'static str {
    match body {
        EventBody::Accepted { .. } => "accepted",
        EventBody::SnapshotTaken { .. } => "snapshot_taken",
        EventBody::Deferred { .. } => "deferred",
        EventBody::EffectsIntended { .. } => "effects_intended",
        EventBody::EffectsNotSent { .. } => "effects_not_sent",
        EventBody::EffectDone { .. } => "effect_done",
        EventBody::EffectUnsettled { .. } => "effect_unsettled",
        EventBody::EffectRefused { .. } => "effect_refused",
        EventBody::Blocked { .. } => "blocked",
        EventBody::RemovalIntended => "removal_intended",
        EventBody::RemovalNotSent { .. } => "removal_not_sent",
        EventBody::RemovalAnswered => "removal_answered",
        EventBody::RemovalFoundDone { .. } => "removal_found_done",
        EventBody::RemovalRefused { .. } => "removal_refused",
        EventBody::RemovalUnknown { .. } => "removal_unknown",
        EventBody::RemovalLookedUp { .. } => "removal_looked_up",
        EventBody::RemovedByOthers { .. } => "removed_by_others",
        EventBody::FoundNotRelated { .. } => "found_not_related",
        EventBody::Observed { .. } => "observed",
        EventBody::CancellationRequested { .. } => "cancellation_requested",
        EventBody::RestoringBegan { .. } => "restoring_began",
        EventBody::RestoresIntended { .. } => "restores_intended",
        EventBody::RestoresNotSent { .. } => "restores_not_sent",
        EventBody::Restored { .. } => "restored",
        EventBody::RestoreUnsettled { .. } => "restore_unsettled",
        EventBody::NotRestored { .. } => "not_restored",
        EventBody::Ended { .. } => "ended",
    }
}

/// An event in a sentence.
pub fn event(body: &EventBody) -> String {
    match body {
        EventBody::Accepted { caller, basis, .. } => {
            let basis = match basis {
                Basis::Read { plan, .. } => format!(
                    "{} planned before the removal",
                    count(plan.actions.len(), "effect is", "effects are")
                ),
                Basis::Unread => "Partner Center will be read when it is due".to_owned(),
                Basis::AlreadyRemoved { .. } => {
                    "the relationship is gone already and only has to be verified".to_owned()
                }
            };
            format!("Accepted for {caller}: {basis}.")
        }
        EventBody::SnapshotTaken {
            snapshot, standing, ..
        } => {
            let completeness = if snapshot.complete {
                ""
            } else {
                ", not completely"
            };
            if standing.is_empty() {
                let but = match snapshot.blockers.len() {
                    0 => String::new(),
                    n => format!(
                        " but {} that the plan clears",
                        count(n, "resource", "resources")
                    ),
                };
                format!("Partner Center was read{completeness}: nothing is in the way{but}.")
            } else {
                format!(
                    "Partner Center was read{completeness}: {} in the way, first: {}",
                    count(standing.len(), "blocker is", "blockers are"),
                    standing[0].message
                )
            }
        }
        EventBody::Deferred { failure, retry_at } => {
            format!("Waits until {retry_at:.0}: {failure}")
        }
        EventBody::EffectsIntended { intents } => format!(
            "About to change {}: {}.",
            count(intents.len(), "resource", "resources"),
            list(intents.iter().map(|intent| format!(
                "{} {}",
                verb(intent.action.action),
                named(&intent.action.resource)
            )))
        ),
        EventBody::EffectsNotSent { ids, why } => {
            format!("Not sent for {}: {why}.", ids_of(ids))
        }
        EventBody::EffectDone { id, how, .. } => format!("{id}: {}", done_how(*how)),
        EventBody::EffectUnsettled {
            id,
            failure,
            retry_at,
            ..
        } => format!("{id}: outcome unsettled, looked at again at {retry_at:.0}: {failure}"),
        EventBody::EffectRefused { id, failure } => {
            format!("{id}: Microsoft refused the change: {failure}")
        }
        EventBody::Blocked { until, recheck_at } => format!(
            "Waits for the blockers to go, at the latest until {until:.0}; looks again at {recheck_at:.0}."
        ),
        EventBody::RemovalIntended => "About to remove the relationship.".to_owned(),
        EventBody::RemovalNotSent { why } => format!("The removal was not sent: {why}."),
        EventBody::RemovalAnswered => {
            "Partner Center answered the removal as documented. Witnesses have to confirm it."
                .to_owned()
        }
        EventBody::RemovalFoundDone { answer } => {
            format!("There is nothing to remove any more: {answer}")
        }
        EventBody::RemovalRefused { failure, retry_at } => match retry_at {
            Some(at) => format!("The removal was refused, tried again at {at:.0}: {failure}"),
            None => format!("Microsoft refused the removal: {failure}"),
        },
        EventBody::RemovalUnknown { failure } => {
            format!("Nobody knows whether the removal took effect: {failure}")
        }
        EventBody::RemovalLookedUp {
            customer, audit, ..
        } => format!(
            "Looked what became of the removal: {}; {}.",
            seen(customer),
            audit_finding(audit)
        ),
        EventBody::RemovedByOthers { answer } => {
            format!("Somebody else removed the relationship: {answer}")
        }
        EventBody::FoundNotRelated { answer, proof } => match proof {
            Some(_) => format!("The relationship had been removed before: {answer}"),
            None => format!("The customer is not related, and nothing shows that it was: {answer}"),
        },
        EventBody::Observed {
            customer, listed, ..
        } => {
            let listed = match listed {
                None => "the customer list was not asked".to_owned(),
                Some(Listed::Absent) => "the complete customer list does not hold it".to_owned(),
                Some(Listed::Present) => "the customer list still holds it".to_owned(),
                Some(Listed::Unreadable { failure }) => {
                    format!("the customer list could not be read: {failure}")
                }
            };
            format!("Looked for witnesses: {}; {listed}.", seen(customer))
        }
        EventBody::CancellationRequested { caller, reason } => {
            format!("{caller} asked to cancel: {reason}")
        }
        EventBody::RestoringBegan { message, .. } => {
            format!("Turns back and puts back what it changed: {message}")
        }
        EventBody::RestoresIntended { ids } => format!("About to put back {}.", ids_of(ids)),
        EventBody::RestoresNotSent { ids, why } => {
            format!("Not put back yet, {}: {why}.", ids_of(ids))
        }
        EventBody::Restored { id, .. } => format!("{id}: put back."),
        EventBody::RestoreUnsettled {
            id,
            failure,
            retry_at,
        } => format!("{id}: putting it back is tried again at {retry_at:.0}: {failure}"),
        EventBody::NotRestored { id, why } => format!("{id}: could not be put back: {why}"),
        EventBody::Ended {
            reason, message, ..
        } => format!("Ended, {}: {message}", reason.as_str()),
    }
}

fn seen(seen: &Seen) -> String {
    match seen {
        Seen::Gone { answer } => format!("the customer is gone ({answer})"),
        Seen::Present { relationship } => {
            format!("the customer is still there (relationship \"{relationship}\")")
        }
        Seen::Unreadable { failure } => format!("the customer could not be read ({failure})"),
    }
}

fn audit_finding(finding: &AuditFinding) -> String {
    match finding {
        AuditFinding::Nothing => "the audit shows neither a removal nor a return".to_owned(),
        AuditFinding::Removed { record } => {
            format!("the audit shows the removal at {:.0}", record.at)
        }
        AuditFinding::Reaccepted { record } => {
            format!(
                "the audit shows that the customer came back at {:.0}",
                record.at
            )
        }
        AuditFinding::Unreadable { failure } => format!("the audit could not be read ({failure})"),
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Suspend => "suspend",
    }
}

/// How many names a sentence lists before it counts the rest.
const LISTED: usize = 5;

fn ids_of(ids: &[ResourceId]) -> String {
    list(ids.iter().map(ToString::to_string))
}

fn list(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let mut text = names.take(LISTED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
