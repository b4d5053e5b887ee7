//! Play: preview, refusal, others act, removal with progress, proof. Everything said is taken from answers.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::checks::Checks;
use super::stage::{PARTNER, Stage};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::screen::{Screen, Tone};
use crate::cli::{commands, follow, progress, show, words};
use crate::domain::event;
use crate::grpc::proto::{
    self, BlockerReason, ConsequenceState, EffectState, Offboarding, OffboardingEvent,
    OffboardingState, Policy, Preview,
};
use crate::simulator::{Act, Action, Actor};

/// What the preview of the demo's customer has to show.
const REASONS: [BlockerReason; 4] = [
    BlockerReason::SubscriptionActive,
    BlockerReason::NewCommerceNotCancelled,
    BlockerReason::AzureReservationActive,
    BlockerReason::SoftwarePurchaseActive,
];

struct Play<'s> {
    stage: &'s Stage,
    screen: Screen,
    checks: Checks,
}

/// Plays from beginning to end.
pub(super) async fn play(stage: &Stage, screen: Screen) -> Result<Exit, Failure> {
    let mut play = Play {
        stage,
        screen,
        checks: Checks::default(),
    };
    play.opening()?;
    let preview = play.everything_in_the_way().await?;
    play.refused(&preview).await?;
    play.others_act(&preview).await?;
    let ended = play.removal().await?;
    play.proof(&ended).await?;
    play.way_back().await?;
    screen.print("\n")?;
    screen.print(&play.checks.verdict(screen))?;
    Ok(play.checks.exit())
}

impl Play<'_> {
    fn say(&self, text: &str) -> Result<(), Failure> {
        self.screen.print(text)
    }

    fn heading(&self, number: u32, text: &str) -> Result<(), Failure> {
        let heading = self
            .screen
            .paint(Tone::Strong, &format!("{number}  {text}"));
        let rule = self
            .screen
            .paint(Tone::Faint, &"─".repeat(self.screen.room(0)));
        self.say(&format!("\n{rule}\n{heading}\n\n"))
    }

    fn check(&mut self, what: &str, seen: bool) -> Result<(), Failure> {
        let line = self.checks.note(what, seen, self.screen);
        self.say(&line)
    }

    fn opening(&self) -> Result<(), Failure> {
        self.say(&format!(
            "{}\n\n",
            self.screen.paint(
                Tone::Strong,
                "relationship-service: a reseller parts from a customer"
            )
        ))?;
        self.say(&self.screen.fields(&[
            ("service", format!("gRPC on {}", self.stage.address())),
            (
                "Partner Center",
                format!("simulated, on {}", self.stage.simulator_url()),
            ),
            ("customer", self.stage.customer.to_string()),
        ]))
    }

    async fn preview(&self, suspend: bool) -> Result<Preview, Failure> {
        let mut service = self.stage.service.clone();
        let request = service.request(proto::PreviewRemovalRequest {
            partner: PARTNER.to_owned(),
            customer_id: self.stage.customer.to_string(),
            policy: Some(Policy { suspend }),
        });
        let response = service.client.preview_removal(request).await?.into_inner();
        response
            .preview
            .ok_or_else(|| Failure::Other("the service answered without preview".to_owned()))
    }

    fn request(&self, suspend: bool, plan_hash: &str) -> proto::RemoveRelationshipRequest {
        proto::RemoveRelationshipRequest {
            partner: PARTNER.to_owned(),
            customer_id: self.stage.customer.to_string(),
            request_id: Uuid::new_v4().to_string(),
            plan_hash: plan_hash.to_owned(),
            policy: Some(Policy { suspend }),
            reason: "contract ended".to_owned(),
            external_references: vec![proto::ExternalReference {
                system: "ticket".to_owned(),
                id: "DEMO-1".to_owned(),
            }],
            ..Default::default()
        }
    }

    async fn everything_in_the_way(&mut self) -> Result<Preview, Failure> {
        self.heading(1, "Preview: what is in the way, all of it, in one answer")?;
        let preview = self.preview(false).await?;
        self.say(&show::preview::items(&preview.items, self.screen))?;
        self.say("\n")?;
        self.say(&show::preview::blockers(&preview.blockers, self.screen))?;
        self.say("\n")?;
        let reasons: BTreeSet<_> = preview.blockers.iter().map(|b| b.reason).collect();
        self.check(
            "legacy and new-commerce subscriptions, reservation and software, in one answer",
            reasons == REASONS.iter().map(|reason| *reason as i32).collect(),
        )?;
        self.check(
            "every one with a remedy",
            preview.blockers.iter().all(|b| !b.remedy.is_empty()),
        )?;
        self.check(
            "dates from Partner Center where there are some",
            preview
                .blockers
                .iter()
                .any(|b| b.earliest_time.is_some() || b.term_end_time.is_some()),
        )?;
        self.check("not removable", !preview.removable)?;
        Ok(preview)
    }

    async fn refused(&mut self, preview: &Preview) -> Result<(), Failure> {
        self.heading(
            2,
            "Removal with an empty policy: refused, with the same list",
        )?;
        let mut service = self.stage.service.clone();
        let request = service.request(self.request(false, ""));
        let Err(status) = service.client.remove_relationship(request).await else {
            return self.check("the removal is refused", false);
        };
        let failure = status
            .get_details_precondition_failure()
            .unwrap_or_else(|| tonic_types::PreconditionFailure::new(Vec::new()));
        let mut table = self.screen.table(&["refused because of", "resource"]);
        for violation in &failure.violations {
            table.add_row(vec![&violation.r#type, &violation.subject]);
        }
        self.say(&self.screen.paragraph(status.message(), 2))?;
        self.say("\n")?;
        self.say(&self.screen.lay_out(&table))?;
        self.say("\n")?;
        self.check(
            "FAILED_PRECONDITION",
            status.code() == tonic::Code::FailedPrecondition,
        )?;
        let told: BTreeSet<(String, String)> = failure
            .violations
            .iter()
            .map(|v| {
                let id = v.subject.rsplit('/').next().unwrap_or_default();
                (v.r#type.clone(), id.to_lowercase())
            })
            .collect();
        let shown: BTreeSet<(String, String)> = preview
            .blockers
            .iter()
            .map(|b| {
                let id = b.resource.as_ref().map(|r| r.id.to_lowercase());
                let id = id.unwrap_or_default();
                let id = id.rsplit('/').next().unwrap_or_default().to_owned();
                (words::reason(b.reason()).to_owned(), id)
            })
            .collect();
        self.check(
            &format!(
                "the same {} as in the preview",
                words::count(shown.len(), "reason", "reasons")
            ),
            told == shown && failure.violations.len() == preview.blockers.len(),
        )?;
        let request = service.request(proto::ListOffboardingsRequest::default());
        let known = service
            .client
            .list_offboardings(request)
            .await?
            .into_inner();
        self.check("nothing was remembered", known.offboardings.is_empty())
    }

    async fn others_act(&mut self, preview: &Preview) -> Result<(), Failure> {
        self.heading(3, "A colleague and Microsoft do what is theirs to do")?;
        let mut acts = Vec::new();
        for blocker in &preview.blockers {
            let resource = blocker.resource.clone().unwrap_or_default();
            let (actor, action, sentence) = match blocker.reason() {
                BlockerReason::NewCommerceNotCancelled => (
                    Actor::Colleague,
                    Action::CancelSubscription {
                        subscription: resource.id,
                    },
                    format!("A colleague cancels {} in the portal.", resource.name),
                ),
                BlockerReason::AzureReservationActive => (
                    Actor::Microsoft,
                    Action::CancelReservation { reservation: None },
                    format!("Microsoft cancels the reservation: {}.", resource.name),
                ),
                BlockerReason::SoftwarePurchaseActive => (
                    Actor::Colleague,
                    Action::CancelSoftware { order: None },
                    format!("A colleague cancels the software: {}.", resource.name),
                ),
                _ => continue,
            };
            acts.push((actor, action, sentence));
        }
        for (actor, action, sentence) in acts {
            let act = Act {
                actor,
                partner: None,
                customer: self.stage.customer,
                action,
            };
            self.stage.control.act(&act).map_err(Failure::Other)?;
            self.say(&self.screen.paragraph(&sentence, 2))?;
        }
        Ok(())
    }

    async fn removal(&mut self) -> Result<Offboarding, Failure> {
        self.heading(4, "Removal with the policy `suspend`")?;
        let preview = self.preview(true).await?;
        let plan = preview.plan.clone().unwrap_or_default();
        self.say(&show::preview::plan(&plan, self.screen))?;
        self.say("\n")?;
        self.check(
            "with the policy, nothing stands in the way any more",
            preview.removable && preview.blockers.iter().all(|b| b.cleared_by_plan),
        )?;
        let mut service = self.stage.service.clone();
        let request = service.request(self.request(true, &plan.plan_hash));
        let accepted = service
            .client
            .remove_relationship(request)
            .await?
            .into_inner()
            .offboarding
            .unwrap_or_default();
        self.check(
            "the removal with this plan hash is accepted",
            !accepted.offboarding_id.is_empty() && accepted.plan_hash == plan.plan_hash,
        )?;
        self.say(&format!(
            "\n{}\n\n",
            self.screen
                .paragraph(
                    &format!(
                        "Offboarding {}. The business clock is moved forward while it waits for \
                     witnesses, by at most 60 s a step.",
                        accepted.offboarding_id
                    ),
                    2
                )
                .trim_end()
        ))?;
        let mut view = progress::for_screen(self.screen);
        let ended = follow::to_the_end(service, &accepted.offboarding_id, 0, view.as_mut()).await?;
        drop(view);
        self.say("\n")?;
        self.say(&show::offboarding::effects(&ended.effects, self.screen))?;
        self.say("\n")?;
        self.check(
            "every subscription of the plan was suspended",
            !ended.effects.is_empty()
                && ended.effects.len() == plan.actions.len()
                && ended.effects.iter().all(|e| e.state() == EffectState::Done),
        )?;
        self.check(
            "the offboarding has SUCCEEDED",
            ended.state() == OffboardingState::Succeeded,
        )?;
        Ok(ended)
    }

    async fn proof(&mut self, ended: &Offboarding) -> Result<(), Failure> {
        self.heading(5, "Proof: the four consequences, and what shows each")?;
        let verification = ended.verification.clone().unwrap_or_default();
        self.say(&show::offboarding::consequences(&verification, self.screen))?;
        self.say("\n")?;
        for (what, consequence) in [
            ("off the customer list", &verification.off_customer_list),
            (
                "off the support contacts",
                &verification.off_support_contacts,
            ),
            ("no purchasing any more", &verification.purchasing_ended),
        ] {
            let shown = consequence
                .as_ref()
                .is_some_and(|c| c.state() == ConsequenceState::Shown && !c.shown_by.is_empty());
            self.check(what, shown)?;
        }
        // Delegated admin is Graph's to show; without it an honest "not checked" says why.
        let admin = verification
            .delegated_admin_ended
            .clone()
            .unwrap_or_default();
        self.check(
            "delegated admin: shown, or said why it was not checked",
            matches!(
                admin.state(),
                ConsequenceState::Shown | ConsequenceState::NotChecked
            ) && !admin.shown_by.is_empty(),
        )?;
        let apart = match (
            &verification.first_gone_time,
            &verification.second_gone_time,
        ) {
            (Some(first), Some(second)) => second.seconds - first.seconds,
            _ => 0,
        };
        self.check(
            &format!("two looks that said gone, {apart} s apart by the business clock"),
            apart >= 60 && verification.unlisted_time.is_some(),
        )?;
        self.check(
            "Microsoft's audit record carries our correlation id",
            verification.audit.as_ref().is_some_and(|a| a.correlated),
        )?;
        let steps = self.stage.moved.steps.load(Ordering::Relaxed);
        let seconds = self.stage.moved.seconds.load(Ordering::Relaxed);
        self.say(&self.screen.paragraph(
            &format!("For that the business clock was moved by {seconds} s, in {steps} steps."),
            4,
        ))?;

        self.heading(6, "The log")?;
        let events =
            commands::all_events(self.stage.service.clone(), &ended.offboarding_id).await?;
        self.say(&show::event::log(&events, self.screen))?;
        self.say("\n")?;
        self.check("suspensions went side by side", side_by_side(&events))?;
        self.check(
            "the log is whole: numbered without a gap, each entry hashed over the one before",
            !events.is_empty() && is_whole(&events),
        )?;
        let last = events.last().map(|e| e.hash.clone()).unwrap_or_default();
        self.say(&self.screen.paragraph(&format!("Its last hash: {last}"), 4))
    }

    async fn way_back(&mut self) -> Result<(), Failure> {
        self.heading(7, "The way back")?;
        let mut service = self.stage.service.clone();
        let request = service.request(proto::GetRelationshipRequestLinkRequest {
            partner: PARTNER.to_owned(),
        });
        let link = service
            .client
            .get_relationship_request_link(request)
            .await?
            .into_inner();
        self.say(&self.screen.paragraph(
            "A Global Administrator of the customer opens this link to come back:",
            2,
        ))?;
        self.say(&format!("  {}\n\n", link.url))?;
        self.check(
            "the link, from Partner Center",
            link.url.starts_with("https://"),
        )
    }
}

/// Whether at least two effects were begun in one go.
fn side_by_side(events: &[OffboardingEvent]) -> bool {
    events
        .iter()
        .filter(|event| event.r#type == "effects_intended")
        .filter_map(|event| serde_json::from_str::<serde_json::Value>(&event.json).ok())
        .filter_map(|json| json["intents"].as_array().map(Vec::len))
        .any(|together| together > 1)
}

/// Whether the log has no gap and every hash is the one that its entry and the hash before make.
fn is_whole(events: &[OffboardingEvent]) -> bool {
    let mut before = [0; 32];
    (1..).zip(events).all(|(sequence, event)| {
        before = event::chain(&before, &event.json);
        event.sequence == sequence && event.hash == hex::encode(before)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<OffboardingEvent> {
        let mut before = [0; 32];
        (1..=3)
            .map(|sequence| {
                let json = format!("{{\"n\":{sequence}}}");
                before = event::chain(&before, &json);
                OffboardingEvent {
                    sequence,
                    json,
                    hash: hex::encode(before),
                    ..Default::default()
                }
            })
            .collect()
    }

    #[test]
    fn a_log_with_a_gap_or_a_changed_entry_is_not_whole() {
        assert!(is_whole(&log()));
        let mut gap = log();
        gap.remove(1);
        assert!(!is_whole(&gap));
        let mut changed = log();
        changed[1].json = "{\"n\":7}".to_owned();
        assert!(!is_whole(&changed));
    }
}
