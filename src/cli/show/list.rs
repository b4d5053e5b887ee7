//! Offboardings for people: one row each.

use comfy_table::ColumnConstraint;

use crate::cli::screen::{Screen, Tone};
use crate::cli::words;
use crate::grpc::proto::Offboarding;

/// The table.
pub(crate) fn table(offboardings: &[Offboarding], screen: Screen) -> String {
    if offboardings.is_empty() {
        return "No offboardings.\n".to_owned();
    }
    let mut table = screen.table(&["offboarding", "customer", "state", "accepted", "waits for"]);
    for offboarding in offboardings {
        let state = offboarding.state();
        let customer = if offboarding.customer_name.is_empty() {
            &offboarding.customer_id
        } else {
            &offboarding.customer_name
        };
        let waits = offboarding
            .waiting
            .as_ref()
            .map_or("", |waiting| words::party(waiting.party()));
        let accepted = words::moment(offboarding.create_time.as_ref());
        table.add_row(vec![
            screen.cell(Tone::Plain, &offboarding.offboarding_id),
            screen.cell(Tone::Plain, customer),
            screen.cell(super::offboarding::tone(state), words::state(state)),
            screen.cell(Tone::Plain, accepted.get(..16).unwrap_or(&accepted)),
            screen.cell(Tone::Plain, waits),
        ]);
    }
    // Whoever copies an id needs it on one line.
    for index in [0, 2, 3] {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    screen.lay_out(&table)
}
