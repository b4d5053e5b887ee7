//! The journal: every request received, in order, with what became of it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// What kind of token a request carried; never the token itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// No bearer token.
    None,
    /// A token that the simulator did not issue, or that has expired.
    Unknown,
    /// Application only.
    App,
    /// Application and user.
    AppUser,
}

/// One request. `started` and `finished` are positions in one common order: a request that
/// finished before another one started has the smaller number.
#[derive(Debug, Clone, Serialize)]
pub struct JournalEntry {
    /// 1, 2, 3, … in the order of arrival; survives clearing.
    pub seq: u64,
    /// Position of the arrival in the common order.
    pub started: u64,
    /// Position of the answer in the common order; absent while it is being worked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<u64>,
    /// Real time of arrival.
    pub real_time: Timestamp,
    /// Time of arrival by the simulator's clock.
    pub simulator_time: Timestamp,
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query as sent, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Which endpoint this is, for instance `update_subscription`; `unknown` for none.
    pub endpoint: &'static str,
    /// `MS-RequestId` as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `MS-CorrelationId` as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// `If-Match` as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// Kind of token.
    pub authorization: Authorization,
    /// Body of changing requests, where it was JSON. Token requests: the grant type only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Status answered; absent while in work, and where no answer was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Error code answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whether the request changed anything here.
    pub applied: bool,
    /// What it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// What the simulator thought of it: why it refused, what a read showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Fault that was injected, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
}

/// All entries since the last clearing.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: Vec<JournalEntry>,
    /// Sequence number of the last entry that was cleared away.
    cleared: u64,
    order: u64,
}

impl Journal {
    /// The next position in the common order.
    pub(super) fn mark(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// Records an arrival; the entry's numbers are set here. Returns its sequence number.
    pub(super) fn start(&mut self, mut entry: JournalEntry) -> u64 {
        entry.seq = self.cleared + self.entries.len() as u64 + 1;
        entry.started = self.mark();
        let seq = entry.seq;
        self.entries.push(entry);
        seq
    }

    /// The entry with this number, unless it was cleared away meanwhile.
    pub(super) fn entry(&mut self, seq: u64) -> Option<&mut JournalEntry> {
        let index = seq.checked_sub(self.cleared + 1)?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }

    /// Entries with a number above `seq`.
    pub(super) fn after(&self, seq: u64) -> &[JournalEntry] {
        let skip = usize::try_from(seq.saturating_sub(self.cleared)).unwrap_or(usize::MAX);
        self.entries.get(skip..).unwrap_or_default()
    }

    /// Forgets all entries; numbering goes on.
    pub(super) fn clear(&mut self) {
        self.cleared += self.entries.len() as u64;
        self.entries.clear();
    }
}
