//! Checks: what had to be seen, and whether the answers showed it.

use crate::cli::exit::Exit;
use crate::cli::screen::{Screen, Tone};

/// What had to be seen, in order.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<(String, bool)>);

impl Checks {
    /// Notes whether something was seen, and says so.
    pub(super) fn note(&mut self, what: &str, seen: bool, screen: Screen) -> String {
        self.0.push((what.to_owned(), seen));
        line(what, seen, screen)
    }

    /// How the demo ends.
    pub(super) fn exit(&self) -> Exit {
        if !self.0.is_empty() && self.0.iter().all(|(_, seen)| *seen) {
            Exit::Ok
        } else {
            Exit::Failure
        }
    }

    /// The sum of it.
    pub(super) fn verdict(&self, screen: Screen) -> String {
        let missing: Vec<_> = self.0.iter().filter(|(_, seen)| !seen).collect();
        if missing.is_empty() {
            let all = format!("All {} things that had to be seen were seen.", self.0.len());
            return format!("{}\n", screen.paint(Tone::Good, &all));
        }
        let mut text = format!(
            "{}\n",
            screen.paint(
                Tone::Bad,
                &format!("Not seen: {} of {}", missing.len(), self.0.len())
            )
        );
        for (what, _) in missing {
            text.push_str(&line(what, false, screen));
        }
        text
    }
}

fn line(what: &str, seen: bool, screen: Screen) -> String {
    let mark = if seen {
        screen.paint(Tone::Good, "✓")
    } else {
        screen.paint(Tone::Bad, "✗ not seen:")
    };
    format!("  {mark} {what}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_that_was_not_seen_is_a_failure() {
        let mut checks = Checks::default();
        assert_eq!(checks.exit(), Exit::Failure, "nothing was looked at");
        checks.note("a", true, Screen::plain());
        assert_eq!(checks.exit(), Exit::Ok);
        checks.note("b", false, Screen::plain());
        assert_eq!(checks.exit(), Exit::Failure);
        assert!(checks.verdict(Screen::plain()).contains("not seen: b"));
    }
}
