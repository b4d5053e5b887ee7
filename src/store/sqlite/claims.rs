//! Claims: taking, prolonging and giving back the right to drive an offboarding.
//!
//! Partners keep their own business time, so "due" is asked per partner; how long a claim lasts is
//! always asked of the database's clock. The partners' times travel as one JSON parameter, which
//! keeps each of these questions a single, reusable statement.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, SqlitePool};

use super::rows::{bytes, database_now, id, micros, offboarding, row_columns, signed, unsigned};
use super::writer::{Done, Write, WriteError};
use crate::application::store::{Claimed, FORMAT, PartnerNow};
use crate::domain::ids::OffboardingId;

/// Partners and their times as `[["<hex id>", micros], …]`.
fn clocks(partners: &[PartnerNow]) -> String {
    partners
        .iter()
        .map(|it| {
            json!([
                hex::encode(it.partner.0.as_bytes()),
                it.now.as_microsecond()
            ])
        })
        .collect::<serde_json::Value>()
        .to_string()
}

/// Claims a batch.
pub(super) struct Claim {
    pub(super) partners: Vec<PartnerNow>,
    pub(super) limit: u32,
    pub(super) lease: Duration,
}

/// Per partner the index of due rows gives the longest due first, so only as many rows are looked at
/// as are wanted (and those that others hold); the best of all partners are then taken.
const CLAIM: &str = concat!(
    "UPDATE offboardings SET fence = fence + 1, claim_expires = ",
    database_now!(),
    " + ?1 WHERE id IN (",
    "  SELECT o.id FROM json_each(?2) AS p CROSS JOIN offboardings AS o",
    "  WHERE o.id IN (",
    "    SELECT id FROM offboardings",
    "    WHERE partner = unhex(p.value ->> 0) AND due <= (p.value ->> 1) AND format <= ?3",
    "      AND (claim_expires IS NULL OR claim_expires <= ",
    database_now!(),
    "    ) ORDER BY due LIMIT ?4)",
    "  ORDER BY (p.value ->> 1) - o.due DESC, o.id LIMIT ?4",
    ") RETURNING partner, fence, ",
    row_columns!(),
);

#[async_trait]
impl Write for Claim {
    type Answer = Vec<Claimed>;

    async fn run(
        &self,
        connection: &mut SqliteConnection,
        done: &mut Done,
    ) -> Result<Vec<Claimed>, WriteError> {
        let rows = sqlx::query(CLAIM)
            .bind(micros(self.lease))
            .bind(clocks(&self.partners))
            .bind(i64::from(FORMAT))
            .bind(i64::from(self.limit))
            .fetch_all(connection)
            .await?;
        done.wrote |= !rows.is_empty();
        let mut claimed = rows
            .iter()
            .map(|row| self.read(row))
            .collect::<Result<Vec<_>, _>>()?;
        // The database returns changed rows in no particular order.
        claimed.sort_by_key(|(overdue, claimed)| (-overdue, claimed.row.id));
        Ok(claimed.into_iter().map(|(_, claimed)| claimed).collect())
    }
}

impl Claim {
    /// The claimed row and for how many microseconds it has been due.
    fn read(&self, row: &SqliteRow) -> Result<(i64, Claimed), sqlx::Error> {
        let partner = id(row, "partner")?;
        let claimed = Claimed {
            row: offboarding(row)?,
            fence: unsigned(row, "fence")?,
            expires_in: self.lease,
        };
        let now = self.partners.iter().find(|it| it.partner.0 == partner);
        let overdue = match (now, claimed.row.due) {
            (Some(it), Some(due)) => it.now.as_microsecond() - due.as_microsecond(),
            _ => 0,
        };
        Ok((overdue, claimed))
    }
}

/// Prolongs claims.
pub(super) struct Renew {
    pub(super) claims: Vec<(OffboardingId, u64)>,
    pub(super) lease: Duration,
}

#[async_trait]
impl Write for Renew {
    type Answer = Vec<(OffboardingId, u64)>;

    async fn run(
        &self,
        connection: &mut SqliteConnection,
        done: &mut Done,
    ) -> Result<Self::Answer, WriteError> {
        let claims: serde_json::Value = self
            .claims
            .iter()
            .map(|(id, fence)| json!([hex::encode(id.0.as_bytes()), signed(*fence)]))
            .collect();
        // An expired claim is not renewed even if nobody took the row: its holder may already have
        // been told that it may not append, and must hear the same here.
        let rows = sqlx::query(concat!(
            "UPDATE offboardings SET claim_expires = ",
            database_now!(),
            " + ?1 WHERE (id, fence) IN (",
            "  SELECT unhex(value ->> 0), value ->> 1 FROM json_each(?2)",
            ") AND claim_expires > ",
            database_now!(),
            " RETURNING id, fence",
        ))
        .bind(micros(self.lease))
        .bind(claims.to_string())
        .fetch_all(connection)
        .await?;
        done.wrote |= !rows.is_empty();
        Ok(rows
            .iter()
            .map(|row| Ok((OffboardingId(id(row, "id")?), unsigned(row, "fence")?)))
            .collect::<Result<Vec<_>, sqlx::Error>>()?)
    }
}

/// Gives a claim back.
pub(super) struct Release {
    pub(super) id: OffboardingId,
    pub(super) fence: u64,
}

#[async_trait]
impl Write for Release {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut SqliteConnection,
        done: &mut Done,
    ) -> Result<(), WriteError> {
        let result = sqlx::query(
            "UPDATE offboardings SET claim_expires = NULL \
             WHERE id = ? AND fence = ? AND claim_expires IS NOT NULL",
        )
        .bind(bytes(self.id.0))
        .bind(signed(self.fence))
        .execute(connection)
        .await?;
        done.wrote |= result.rows_affected() > 0;
        Ok(())
    }
}

/// Takes every claim away and raises its fence: at start, when whoever held them is gone.
pub(super) async fn void_all(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let result = sqlx::query(
        "UPDATE offboardings INDEXED BY offboardings_claimed \
         SET claim_expires = NULL, fence = fence + 1 WHERE claim_expires IS NOT NULL",
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected())
}

/// Whether the claim with `fence` lasts for `needs` and no control event came after `seen`.
pub(super) async fn may_send(
    pool: &SqlitePool,
    id: OffboardingId,
    fence: u64,
    seen: u64,
    needs: Duration,
) -> Result<bool, sqlx::Error> {
    sqlx::query(concat!(
        "SELECT 1 FROM offboardings WHERE id = ? AND fence = ? AND control_sequence <= ? ",
        "AND claim_expires > ",
        database_now!(),
        " + ?",
    ))
    .bind(bytes(id.0))
    .bind(signed(fence))
    .bind(signed(seen))
    .bind(micros(needs))
    .fetch_optional(pool)
    .await
    .map(|row| row.is_some())
}

/// Microseconds until something can be claimed: the earliest due row that nobody holds, or a held one
/// once it is due and its claim has expired. The latter are as few as there are workers.
const NEXT_DUE: &str = concat!(
    "SELECT min(wait) AS wait FROM (",
    "  SELECT (",
    "    SELECT due FROM offboardings",
    "    WHERE partner = unhex(p.value ->> 0) AND due IS NOT NULL AND format <= ?2",
    "      AND claim_expires IS NULL ORDER BY due LIMIT 1",
    "  ) - (p.value ->> 1) AS wait FROM json_each(?1) AS p",
    "  UNION ALL",
    "  SELECT max(o.due - (p.value ->> 1), o.claim_expires - ",
    database_now!(),
    // Named, because SQLite would rather walk all that waits than the few that are held.
    ") FROM json_each(?1) AS p CROSS JOIN offboardings AS o INDEXED BY offboardings_claimed",
    "  WHERE o.partner = unhex(p.value ->> 0) AND o.claim_expires IS NOT NULL",
    "    AND o.due IS NOT NULL AND o.format <= ?2",
    ")",
);

/// How long until something can be claimed.
pub(super) async fn next_due(
    pool: &SqlitePool,
    partners: &[PartnerNow],
) -> Result<Option<Duration>, sqlx::Error> {
    let wait: Option<i64> = sqlx::query(NEXT_DUE)
        .bind(clocks(partners))
        .bind(i64::from(FORMAT))
        .fetch_one(pool)
        .await
        .and_then(|row| row.try_get("wait"))?;
    Ok(wait.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection};

    use super::*;

    /// How SQLite goes about a statement.
    async fn plan(sql: &str) -> Vec<String> {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::migrate!("migrations/sqlite")
            .run_direct(None, &mut connection, false)
            .await
            .unwrap();
        sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(&mut connection)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get("detail"))
            .collect()
    }

    #[tokio::test]
    async fn finished_rows_cost_a_claim_nothing() {
        for sql in [CLAIM, NEXT_DUE] {
            let steps = plan(sql).await;
            let uses = |index: &str| steps.iter().any(|step| step.contains(index));
            assert!(uses("INDEX offboardings_due (partner=?"), "{steps:#?}");
            for step in &steps {
                let scan = step.starts_with("SCAN") && !step.contains("VIRTUAL TABLE");
                // The union's own few rows are no table.
                assert!(!scan || step.contains("(subquery"), "{step}: {steps:#?}");
            }
        }
        let steps = plan(NEXT_DUE).await;
        let uses = |index: &str| steps.iter().any(|step| step.contains(index));
        assert!(uses("INDEX offboardings_claimed"), "{steps:#?}");
    }
}
