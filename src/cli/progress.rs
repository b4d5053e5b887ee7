//! Progress: how following an offboarding looks: bars on a terminal, plain lines or JSON lines elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::failure::Failure;
use super::follow::View;
use super::screen::Screen;
use super::{show, words};
use crate::grpc::proto::{
    Effect, EffectState, Heartbeat, Offboarding, OffboardingEvent, OffboardingState,
    WatchOffboardingResponse, watch_offboarding_response::Update,
};

/// More effects than this get no bar of their own.
const BARS_AT_MOST: usize = 12;

/// The view that fits standard output.
pub(crate) fn for_screen(screen: Screen) -> Box<dyn View> {
    if screen.json {
        Box::new(JsonLines { screen })
    } else if std::io::stdout().is_terminal() {
        Box::new(Bars::new(screen))
    } else {
        Box::new(Lines { screen })
    }
}

/// One JSON object per message of the watch; at the end the status once more.
struct JsonLines {
    screen: Screen,
}

impl JsonLines {
    fn line(&self, update: Update) -> Result<(), Failure> {
        let message = WatchOffboardingResponse {
            update: Some(update),
        };
        self.screen.json_line("WatchOffboardingResponse", &message)
    }
}

impl View for JsonLines {
    fn status(&mut self, offboarding: &Offboarding) -> Result<(), Failure> {
        self.line(Update::Status(offboarding.clone()))
    }

    fn event(&mut self, event: &OffboardingEvent) -> Result<(), Failure> {
        self.line(Update::Event(event.clone()))
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat) -> Result<(), Failure> {
        self.line(Update::Heartbeat(*heartbeat))
    }

    fn lost(&mut self, why: &str, pause: Duration) {
        eprintln!("{}", lost_line(why, pause));
    }

    fn ended(&mut self, offboarding: &Offboarding) -> Result<(), Failure> {
        self.line(Update::Status(offboarding.clone()))
    }

    fn wants_status(&self) -> bool {
        false
    }
}

/// One line per event.
struct Lines {
    screen: Screen,
}

impl View for Lines {
    fn status(&mut self, offboarding: &Offboarding) -> Result<(), Failure> {
        self.screen
            .print(&show::offboarding::headline(offboarding, self.screen))
    }

    fn event(&mut self, event: &OffboardingEvent) -> Result<(), Failure> {
        self.screen
            .print(&format!("{}\n", show::event::line(event, self.screen)))
    }

    fn heartbeat(&mut self, _: &Heartbeat) -> Result<(), Failure> {
        Ok(())
    }

    fn lost(&mut self, why: &str, pause: Duration) {
        eprintln!("{}", lost_line(why, pause));
    }

    fn ended(&mut self, _: &Offboarding) -> Result<(), Failure> {
        Ok(())
    }

    fn wants_status(&self) -> bool {
        false
    }
}

/// Events above, below them one bar for the whole and one line for each effect.
struct Bars {
    screen: Screen,
    all: MultiProgress,
    whole: ProgressBar,
    effects: Vec<ProgressBar>,
}

impl Bars {
    fn new(screen: Screen) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let whole = all.add(ProgressBar::new(0));
        whole.set_style(style("  {spinner} {prefix:11} {bar:30} {pos}/{len}  {msg}"));
        whole.enable_steady_tick(Duration::from_millis(120));
        Self {
            screen,
            all,
            whole,
            effects: Vec::new(),
        }
    }

    fn draw_effects(&mut self, effects: &[Effect]) {
        if effects.len() > BARS_AT_MOST {
            return;
        }
        while self.effects.len() < effects.len() {
            let bar = self.all.add(ProgressBar::new(2));
            bar.set_style(style("      {bar:12} {msg}"));
            self.effects.push(bar);
        }
        for (bar, effect) in self.effects.iter().zip(effects) {
            bar.set_position(match effect.state() {
                EffectState::Todo | EffectState::Unspecified => 0,
                EffectState::Intended | EffectState::Retrying => 1,
                _ => 2,
            });
            bar.set_message(format!(
                "{} {}: {}",
                effect.action,
                words::resource(effect.resource.as_ref()),
                words::effect_state(effect.state())
            ));
        }
    }
}

/// A wrong template would be a mistake of ours, and no reason to stop watching.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━─")
}

impl View for Bars {
    fn status(&mut self, offboarding: &Offboarding) -> Result<(), Failure> {
        let (done, of) = steps(offboarding);
        self.whole.set_length(of);
        self.whole.set_position(done);
        self.whole.set_prefix(words::state(offboarding.state()));
        self.whole.set_message(match &offboarding.waiting {
            Some(waiting) => format!(
                "waits for {}: {}",
                words::party(waiting.party()),
                waiting.message
            ),
            None => String::new(),
        });
        self.draw_effects(&offboarding.effects);
        Ok(())
    }

    fn event(&mut self, event: &OffboardingEvent) -> Result<(), Failure> {
        self.all
            .println(show::event::line(event, self.screen))
            .map_err(Failure::output)
    }

    fn heartbeat(&mut self, _: &Heartbeat) -> Result<(), Failure> {
        Ok(())
    }

    fn lost(&mut self, why: &str, pause: Duration) {
        // A terminal that is gone has nobody to tell.
        let _ = self.all.println(lost_line(why, pause));
    }

    fn ended(&mut self, offboarding: &Offboarding) -> Result<(), Failure> {
        self.status(offboarding)?;
        for bar in &self.effects {
            bar.finish();
        }
        self.whole.finish();
        Ok(())
    }

    fn wants_status(&self) -> bool {
        true
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for bar in self.effects.iter().chain([&self.whole]) {
            if !bar.is_finished() {
                bar.abandon();
            }
        }
    }
}

/// How far an offboarding is: every effect, the removal, and its verification are one step each.
fn steps(offboarding: &Offboarding) -> (u64, u64) {
    let settled = offboarding
        .effects
        .iter()
        .filter(|effect| {
            !matches!(
                effect.state(),
                EffectState::Unspecified
                    | EffectState::Todo
                    | EffectState::Intended
                    | EffectState::Retrying
            )
        })
        .count();
    let state = offboarding.state();
    let removed = matches!(
        state,
        OffboardingState::Verifying | OffboardingState::Succeeded | OffboardingState::Unconfirmed
    );
    let verified = state == OffboardingState::Succeeded;
    (
        settled as u64 + u64::from(removed) + u64::from(verified),
        offboarding.effects.len() as u64 + 2,
    )
}

fn lost_line(why: &str, pause: Duration) -> String {
    format!(
        "      connection lost ({why}); trying again in {:.1} s",
        pause.as_secs_f32()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_effect_the_removal_and_its_verification_count_one_each() {
        let effect = |state: EffectState| Effect {
            state: state as i32,
            ..Default::default()
        };
        let mut offboarding = Offboarding {
            effects: vec![effect(EffectState::Done), effect(EffectState::Intended)],
            state: OffboardingState::Clearing as i32,
            ..Default::default()
        };
        assert_eq!(steps(&offboarding), (1, 4));
        offboarding.effects[1] = effect(EffectState::DoneByOthers);
        offboarding.state = OffboardingState::Verifying as i32;
        assert_eq!(steps(&offboarding), (3, 4));
        offboarding.state = OffboardingState::Succeeded as i32;
        assert_eq!(steps(&offboarding), (4, 4));
    }
}
