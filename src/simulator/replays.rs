//! Repeats: the same `MS-RequestId` with the same request gets the first answer again.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::answer::Answer;

/// How long an answer is kept. Microsoft documents no window; this one is ours.
const REPLAY: Duration = Duration::from_secs(15 * 60);

/// Answers to changing requests by id and request, for repeats.
#[derive(Debug, Default)]
pub(super) struct Replays {
    answers: HashMap<(String, String), Answer>,
    /// The same keys, oldest first.
    order: VecDeque<(Instant, (String, String))>,
}

impl Replays {
    /// The first answer to the same request, if it is still kept.
    pub(super) fn recall(&mut self, key: &(String, String)) -> Option<Answer> {
        while let Some((_, old)) = self.order.pop_front_if(|(at, _)| at.elapsed() >= REPLAY) {
            self.answers.remove(&old);
        }
        self.answers.get(key).cloned()
    }

    /// Keeps an answer.
    pub(super) fn remember(&mut self, key: (String, String), answer: Answer) {
        self.order.push_back((Instant::now(), key.clone()));
        self.answers.insert(key, answer);
    }
}
