//! Properties: what holds for every run against the model, whatever upstream, callers and crashes do.

use proptest::prelude::*;

use super::super::event::{EndReason, Ending};
use super::super::failure::FailureClass;
use super::super::offboarding::State;
use super::super::policy::Policy;
use super::super::subscription::Subscription;
use super::upstream::{CLASSES, Tape, Upstream, Which, legacy};
use super::worker::Run;

const SUSPEND: Policy = Policy { suspend: true };

fn family() -> Vec<Subscription> {
    vec![
        legacy("PARENT", None),
        legacy("add-on-1", Some("parent")),
        legacy("add-on-2", Some("parent")),
        legacy("single", None),
    ]
}

fn run(numbers: Vec<u16>, unread: bool) -> Run {
    let mut run = Run::accept(Upstream::new(Tape::new(numbers), family()), SUSPEND, unread);
    run.run();
    run
}

#[test]
fn a_friendly_world_is_left_with_everything_suspended_and_the_relationship_gone() {
    for unread in [false, true] {
        let run = run(Vec::new(), unread);
        let outcome = run.ended().outcome.clone().unwrap();
        assert_eq!(
            (outcome.ending, outcome.reason),
            (Ending::Succeeded, EndReason::Removed)
        );
        assert!(!run.upstream.related);
    }
}

#[test]
fn a_run_ends_even_if_one_kind_of_call_fails_the_same_way_for_ever() {
    for which in [
        Which::Reads,
        Which::Changes,
        Which::Removals,
        Which::LookUps,
    ] {
        for class in CLASSES {
            let mut tape = Tape::new(Vec::new());
            tape.always = Some((which, class));
            let mut run = Run::accept(Upstream::new(tape, family()), SUSPEND, false);
            run.run();
            let state = run.ended().state;
            let could_not = which != Which::LookUps && class != FailureClass::NotRelated;
            if could_not && which != Which::Removals && class != FailureClass::ResourceNotFound {
                assert_eq!(state, State::Failed, "{which:?} {class:?}");
            }
        }
    }
}

#[test]
fn a_removal_that_is_refused_for_now_for_ever_fails_within_bounds() {
    // Nothing to suspend: there is no first effect whose time runs out.
    for class in CLASSES {
        let mut tape = Tape::new(Vec::new());
        tape.always = Some((Which::Removals, class));
        let mut run = Run::accept(Upstream::new(tape, Vec::new()), SUSPEND, false);
        run.run();
        let state = run.ended().state;
        let expected = match class {
            FailureClass::NotRelated => State::Unconfirmed,
            class if class.leaves_outcome_unknown() => State::Unconfirmed,
            _ => State::Failed,
        };
        assert_eq!(state, expected, "{class:?}");
    }
}

#[test]
fn a_run_that_once_forgot_an_add_on_of_ours_ends_well() {
    let numbers = [
        0, 2669, 60, 0, 0, 0, 0, 468, 58140, 0, 0, 13902, 0, 0, 25, 0, 0, 2699, 5232, 224, 24919,
        0, 0, 1005, 690, 0, 378, 0, 0, 0, 0, 0, 16026, 0, 0, 0, 8224, 300, 0, 0, 3600, 32770, 600,
        0, 0, 0, 30289, 25966, 660, 0, 0, 0, 0, 0, 0, 3543, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 562,
        0, 0, 0, 0, 0, 0, 0, 2680, 0, 0, 0, 0, 23674, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    run(numbers.to_vec(), true);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    })]

    /// The invariants are checked by the run itself, at every step.
    #[test]
    fn every_run_keeps_the_invariants_and_ends(
        numbers in prop::collection::vec(any::<u16>(), 0..600),
        unread in any::<bool>(),
    ) {
        run(numbers, unread);
    }
}
