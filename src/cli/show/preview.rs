//! A preview for people: what the customer has, what is in the way, what would be done.

use comfy_table::{Column, ColumnConstraint, Width};

use crate::cli::screen::{Screen, Tone};
use crate::cli::words;
use crate::grpc::proto::{AtTermEnd, Blocker, Certainty, Item, Party, Plan, Preview};

/// The whole preview.
pub(crate) fn text(preview: &Preview, screen: Screen) -> String {
    let mut out = String::new();
    let name = if preview.customer_name.is_empty() {
        "(company name withheld by Partner Center)"
    } else {
        &preview.customer_name
    };
    out.push_str(&format!("{}\n", screen.paint(Tone::Strong, name)));
    out.push_str(&screen.fields(&[
        ("customer", preview.customer_id.clone()),
        (
            "partner",
            format!("{} ({})", preview.partner, preview.partner_tenant_id),
        ),
    ]));
    out.push('\n');
    out.push_str(&items(&preview.items, screen));
    out.push('\n');
    out.push_str(&blockers(&preview.blockers, screen));
    if let Some(plan) = &preview.plan {
        out.push('\n');
        out.push_str(&self::plan(plan, screen));
    }
    out.push('\n');
    out.push_str(&verdict(preview, screen));
    out
}

fn verdict(preview: &Preview, screen: Screen) -> String {
    let unreadable: Vec<_> = preview
        .parts
        .iter()
        .filter(|part| !part.readable)
        .map(|part| part.name.as_str())
        .collect();
    let mut out = if preview.removable {
        format!(
            "{}\n",
            screen.paint(Tone::Good, "Removable now, with this policy.")
        )
    } else {
        let standing = preview
            .blockers
            .iter()
            .filter(|b| !b.cleared_by_plan)
            .count();
        format!(
            "{}\n",
            screen.paint(
                Tone::Warn,
                &format!(
                    "Not removable with this policy: {} in the way.",
                    words::count(standing, "thing stands", "things stand")
                )
            )
        )
    };
    if !unreadable.is_empty() {
        out.push_str(&screen.paragraph(
            &format!(
                "Could not be read, so not taken as empty: {}.",
                unreadable.join(", ")
            ),
            2,
        ));
    }
    out
}

/// What the customer has.
pub(crate) fn items(items: &[Item], screen: Screen) -> String {
    if items.is_empty() {
        return "The customer has nothing that Partner Center shows.\n".to_owned();
    }
    let mut table = screen.table(&["has", "kind", "status", "seats", "term ends", "then"]);
    for item in families(items) {
        let mut name = words::resource(item.resource.as_ref());
        if !item.parent_id.is_empty() {
            name = format!("└ {name}");
        }
        table.add_row(vec![
            screen.cell(Tone::Plain, name),
            screen.cell(Tone::Faint, &item.kind),
            screen.cell(Tone::Plain, &item.status),
            screen.cell(Tone::Plain, item.quantity),
            screen.cell(Tone::Plain, words::day(item.term_end_time.as_ref())),
            screen.cell(Tone::Plain, words::at_term_end(item.at_term_end())),
        ]);
    }
    screen.lay_out(&table)
}

/// Every item, add-ons directly below their parents.
fn families(items: &[Item]) -> Vec<&Item> {
    let id = |item: &Item| {
        let resource = item.resource.as_ref();
        resource.map(|r| r.id.to_lowercase()).unwrap_or_default()
    };
    let parent = |item: &Item| item.parent_id.to_lowercase();
    let has_parent = |item: &Item| items.iter().any(|other| id(other) == parent(item));
    let mut sorted = Vec::with_capacity(items.len());
    for item in items.iter().filter(|item| !has_parent(item)) {
        sorted.push(item);
        let own = id(item);
        sorted.extend(items.iter().filter(|other| parent(other) == own));
    }
    // Whatever hangs below an add-on still has to be shown.
    for item in items {
        if !sorted.iter().any(|shown| std::ptr::eq(*shown, item)) {
            sorted.push(item);
        }
    }
    sorted
}

/// What stands in the way: each with who can clear it, from when, and what to do.
pub(crate) fn blockers(blockers: &[Blocker], screen: Screen) -> String {
    if blockers.is_empty() {
        return "Nothing is in the way.\n".to_owned();
    }
    let mut out = format!(
        "{}\n\n",
        screen.paint(
            Tone::Strong,
            &format!(
                "{} in the way",
                words::count(blockers.len(), "thing is", "things are")
            )
        )
    );
    let mut table = screen.airy_table(&["in the way", "cleared by", "earliest", "what to do"]);
    // A reason is looked up as it is written: it must not be broken in two.
    let longest = blockers
        .iter()
        .map(|blocker| words::reason(blocker.reason()).len())
        .max()
        .and_then(|longest| u16::try_from(longest).ok())
        .unwrap_or(0);
    for blocker in blockers {
        let tone = if blocker.cleared_by_plan {
            Tone::Good
        } else {
            Tone::Warn
        };
        table.add_row(vec![
            screen.cell(
                tone,
                format!(
                    "{}\n{}{}",
                    words::resource(blocker.resource.as_ref()),
                    words::reason(blocker.reason()),
                    if blocker.certainty() == Certainty::Inferred {
                        " (inferred)"
                    } else {
                        ""
                    }
                ),
            ),
            screen.cell(Tone::Plain, cleared_by(blocker)),
            screen.cell(Tone::Plain, dates(blocker)),
            screen.cell(Tone::Plain, &blocker.remedy),
        ]);
    }
    let with_padding = longest + table.column(0).map_or(0, Column::padding_width);
    table.set_constraints([
        ColumnConstraint::Boundaries {
            lower: Width::Fixed(with_padding),
            upper: Width::Fixed(with_padding.max(38)),
        },
        ColumnConstraint::UpperBoundary(Width::Fixed(16)),
        ColumnConstraint::UpperBoundary(Width::Fixed(20)),
        ColumnConstraint::LowerBoundary(Width::Fixed(20)),
    ]);
    out.push_str(&screen.lay_out(&table));
    out
}

fn cleared_by(blocker: &Blocker) -> String {
    match blocker.cleared_by() {
        Party::Service if blocker.cleared_by_plan => "this plan".to_owned(),
        Party::Service => format!("policy {}", blocker.policy_field),
        other => words::party(other).to_owned(),
    }
}

fn dates(blocker: &Blocker) -> String {
    let mut text = words::day(blocker.earliest_time.as_ref());
    if blocker.term_end_time.is_some() && blocker.at_term_end() != AtTermEnd::Unspecified {
        text.push_str(&format!(
            "\n{} {}",
            words::day(blocker.term_end_time.as_ref()),
            words::at_term_end(blocker.at_term_end())
        ));
    }
    text
}

/// What would be done, what cannot be undone, what stays behind.
pub(crate) fn plan(plan: &Plan, screen: Screen) -> String {
    let mut out = format!("{}\n\n", screen.paint(Tone::Strong, "The plan"));
    let mut table = screen.table(&["step", "what", "on", "what it means"]);
    for action in &plan.actions {
        table.add_row(vec![
            screen.cell(Tone::Plain, action.group),
            screen.cell(Tone::Plain, &action.action),
            screen.cell(Tone::Plain, words::resource(action.resource.as_ref())),
            screen.cell(Tone::Plain, &action.consequence),
        ]);
    }
    let last = plan.actions.iter().map(|a| a.group).max().unwrap_or(0) + 1;
    table.add_row(vec![
        screen.cell(Tone::Plain, last),
        screen.cell(Tone::Plain, "remove"),
        screen.cell(Tone::Plain, "the reseller relationship"),
        screen.cell(
            Tone::Plain,
            "after one more look that shows nothing in the way",
        ),
    ]);
    out.push_str(&screen.lay_out(&table));
    for (title, sentences) in [
        ("Cannot be undone", &plan.irreversible),
        ("Stays behind", &plan.stays_behind),
    ] {
        if !sentences.is_empty() {
            out.push_str(&format!("\n  {}\n", screen.paint(Tone::Faint, title)));
            for sentence in sentences {
                out.push_str(&screen.paragraph(sentence, 4));
            }
        }
    }
    out.push_str(&format!(
        "\n{}",
        screen.fields(&[("plan hash", plan.plan_hash.clone())])
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::proto::{BlockerReason, Resource};

    #[test]
    fn a_reason_is_never_broken_in_two() {
        let blocker = Blocker {
            reason: BlockerReason::MarketplaceSubscriptionActive.into(),
            resource: Some(Resource {
                name: "Firewall as a Service".to_owned(),
                ..Default::default()
            }),
            message: "Firewall as a Service is a third-party subscription that is active."
                .to_owned(),
            remedy: "Cancel it in Partner Center by 2026-11-26T18:59:14Z. ".repeat(3),
            cleared_by: Party::Partner.into(),
            at_term_end: AtTermEnd::Renews.into(),
            term_end_time: Some(prost_types::Timestamp::default()),
            ..Default::default()
        };
        let text = blockers(&[blocker], Screen::plain());
        assert!(text.contains("MARKETPLACE_SUBSCRIPTION_ACTIVE"), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
    }

    #[test]
    fn add_ons_stand_below_their_parents_and_nothing_is_lost() {
        let item = |id: &str, parent: &str| Item {
            resource: Some(Resource {
                id: id.to_owned(),
                ..Default::default()
            }),
            parent_id: parent.to_owned(),
            ..Default::default()
        };
        let items = [
            item("a2", "A"),
            item("b", ""),
            item("a", ""),
            item("lost", "nowhere"),
            item("a2b", "a2"),
        ];
        let order: Vec<_> = families(&items)
            .into_iter()
            .filter_map(|item| item.resource.as_ref())
            .map(|resource| resource.id.as_str())
            .collect();
        assert_eq!(order, ["b", "a", "a2", "lost", "a2b"]);
    }
}
