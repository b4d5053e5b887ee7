//! What the writer does for accepting and appending.

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row};

use super::rows::{bytes, database_now, hash, id, signed, unsigned};
use super::writer::{Done, Write, WriteError};
use crate::application::store::{
    Acceptance, Append, Appender, Change, EventRow, KnownRequest, NewOffboarding, StoreError,
};
use crate::domain::ids::OffboardingId;

/// Rows of one `INSERT`. Snapshots come in ones, outcomes of effects side by side in dozens.
const EVENTS_PER_STATEMENT: usize = 16;

/// Acceptance: [`NewOffboarding`] as a write.
pub(super) struct Accept(pub(super) NewOffboarding);

#[async_trait]
impl Write for Accept {
    type Answer = Acceptance;

    async fn run(
        &self,
        connection: &mut SqliteConnection,
        done: &mut Done,
    ) -> Result<Acceptance, WriteError> {
        let Self(new) = self;
        let known = sqlx::query(
            "SELECT offboarding, digest FROM request_ids WHERE caller = ? AND request = ?",
        )
        .bind(new.caller.0.as_str())
        .bind(bytes(new.request_id.0))
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = known {
            return Ok(Acceptance::Repeated(KnownRequest {
                id: OffboardingId(id(&row, "offboarding")?),
                request_digest: hash(&row, "digest")?,
            }));
        }
        let unfinished = sqlx::query(
            "SELECT id FROM offboardings WHERE partner = ? AND customer = ? AND ended = 0",
        )
        .bind(bytes(new.partner.0))
        .bind(bytes(new.customer.0))
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = unfinished {
            return Ok(Acceptance::Busy(OffboardingId(id(&row, "id")?)));
        }
        numbered_from(1, &new.events)?;
        let Some(last) = new.events.last() else {
            return Err(refuse("an offboarding begins with an event"));
        };

        done.wrote = true;
        sqlx::query(
            "INSERT INTO offboardings (id, partner, customer, caller, created, updated, state, \
             ended, removal_seen, due, waiting_on, sequence, head, format, blockers, fold) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(bytes(new.id.0))
        .bind(bytes(new.partner.0))
        .bind(bytes(new.customer.0))
        .bind(new.caller.0.as_str())
        .bind(new.created.as_microsecond())
        .bind(new.columns.updated.as_microsecond())
        .bind(new.columns.state.as_str())
        .bind(new.columns.ended)
        .bind(new.columns.removal_seen)
        .bind(new.columns.due.map(|due| due.as_microsecond()))
        .bind(new.columns.waiting_on.as_deref())
        .bind(signed(last.sequence))
        .bind(last.hash.to_vec())
        .bind(i64::from(new.columns.format))
        .bind(reasons(&new.columns.blocker_reasons))
        .bind(new.columns.fold.as_str())
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "INSERT INTO request_ids (caller, request, offboarding, digest, created) \
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(new.caller.0.as_str())
        .bind(bytes(new.request_id.0))
        .bind(bytes(new.id.0))
        .bind(new.request_digest.to_vec())
        .bind(new.created.as_microsecond())
        .execute(&mut *connection)
        .await?;
        let facets = (new.labels.iter().map(|pair| ("label", pair)))
            .chain(new.references.iter().map(|pair| ("reference", pair)));
        for (kind, (name, value)) in facets {
            sqlx::query(
                "INSERT OR IGNORE INTO facets (kind, name, value, offboarding) VALUES (?, ?, ?, ?)",
            )
            .bind(kind)
            .bind(name.as_str())
            .bind(value.as_str())
            .bind(bytes(new.id.0))
            .execute(&mut *connection)
            .await?;
        }
        insert_events(connection, new.id, &new.events).await?;
        done.changes.push(Change {
            id: new.id,
            sequence: last.sequence,
        });
        Ok(Acceptance::Accepted)
    }
}

#[async_trait]
impl Write for Append {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut SqliteConnection,
        done: &mut Done,
    ) -> Result<(), WriteError> {
        numbered_from(self.after + 1, &self.events)?;
        // The row's update is also the check: when it finds its row, sequence, fence and claim were
        // right at one and the same moment, and nothing was written when it does not.
        let sql = match self.by {
            Appender::Worker { .. } => concat!(
                "UPDATE offboardings SET state = ?, ended = ?, removal_seen = ?, updated = ?, ",
                "due = ?, waiting_on = ?, format = ?, blockers = ?, fold = ?, sequence = ?, ",
                "head = coalesce(?, head), ",
                "claim_expires = CASE WHEN ? THEN NULL ELSE claim_expires END ",
                "WHERE id = ? AND sequence = ? AND fence = ? AND claim_expires > ",
                database_now!(),
            ),
            Appender::Control => {
                "UPDATE offboardings SET state = ?, ended = ?, removal_seen = ?, updated = ?, \
                 due = ?, waiting_on = ?, format = ?, blockers = ?, fold = ?, sequence = ?, \
                 head = coalesce(?, head), control_sequence = ? \
                 WHERE id = ? AND sequence = ?"
            }
        };
        let sequence = signed(self.events.last().map_or(self.after, |last| last.sequence));
        let columns = &self.columns;
        let update = sqlx::query(sql)
            .bind(columns.state.as_str())
            .bind(columns.ended)
            .bind(columns.removal_seen)
            .bind(columns.updated.as_microsecond())
            .bind(columns.due.map(|due| due.as_microsecond()))
            .bind(columns.waiting_on.as_deref())
            .bind(i64::from(columns.format))
            .bind(reasons(&columns.blocker_reasons))
            .bind(columns.fold.as_str())
            .bind(sequence)
            .bind(self.events.last().map(|last| last.hash.to_vec()));
        let update = match self.by {
            Appender::Worker { fence, release } => update
                .bind(release)
                .bind(bytes(self.id.0))
                .bind(signed(self.after))
                .bind(signed(fence)),
            Appender::Control => update
                .bind(sequence)
                .bind(bytes(self.id.0))
                .bind(signed(self.after)),
        };
        if update.execute(&mut *connection).await?.rows_affected() == 0 {
            return Err(self.refusal(connection).await?);
        }
        done.wrote = true;
        if let Some(last) = self.events.last() {
            insert_events(connection, self.id, &self.events).await?;
            done.changes.push(Change {
                id: self.id,
                sequence: last.sequence,
            });
        }
        Ok(())
    }
}

impl Append {
    /// Says why no row was found to append to. A lost claim goes first: who lost it must stop, whereas
    /// a conflict invites to fold and decide again.
    async fn refusal(&self, connection: &mut SqliteConnection) -> Result<WriteError, sqlx::Error> {
        let row = sqlx::query(concat!(
            "SELECT sequence, fence, coalesce(claim_expires > ",
            database_now!(),
            ", 0) AS claimed FROM offboardings WHERE id = ?",
        ))
        .bind(bytes(self.id.0))
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else {
            return Ok(WriteError::Refused(StoreError::NotFound));
        };
        let claimed: bool = row.try_get("claimed")?;
        let moved = unsigned(&row, "sequence")? != self.after;
        Ok(WriteError::Refused(match self.by {
            Appender::Worker { fence, .. } if unsigned(&row, "fence")? != fence || !claimed => {
                StoreError::ClaimLost
            }
            // The claim may have expired between the two statements.
            Appender::Worker { .. } if !moved => StoreError::ClaimLost,
            _ => StoreError::Conflict,
        }))
    }
}

fn refuse(why: &str) -> WriteError {
    WriteError::Refused(StoreError::Unavailable(format!("not written: {why}")))
}

/// A log has no gaps: checked here, where a mistake still costs nothing.
fn numbered_from(first: u64, events: &[EventRow]) -> Result<(), WriteError> {
    if (first..)
        .zip(events)
        .all(|(expected, event)| event.sequence == expected)
    {
        Ok(())
    } else {
        Err(refuse("the events are not numbered one after the other"))
    }
}

fn reasons(reasons: &[String]) -> String {
    serde_json::Value::from(reasons).to_string()
}

async fn insert_events(
    connection: &mut SqliteConnection,
    to: OffboardingId,
    events: &[EventRow],
) -> Result<(), sqlx::Error> {
    for chunk in events.chunks(EVENTS_PER_STATEMENT) {
        let mut sql = String::from(
            "INSERT INTO events (offboarding, sequence, at, format, kind, state, hash, text) VALUES ",
        );
        sql.push_str(&vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; chunk.len()].join(", "));
        // Only placeholders were added: one text per number of rows, so the statements are reused.
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for event in chunk {
            insert = insert
                .bind(bytes(to.0))
                .bind(signed(event.sequence))
                .bind(event.at.as_microsecond())
                .bind(i64::from(event.format))
                .bind(event.kind.as_str())
                .bind(event.state.as_str())
                .bind(event.hash.to_vec())
                .bind(event.text.as_str());
        }
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}
