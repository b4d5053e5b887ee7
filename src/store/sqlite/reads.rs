//! Questions to the store that change nothing, answered by the pool of read-only connections.

use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::rows::{bytes, event, hash, id, offboarding, row_columns, signed};
use crate::application::store::{Cursor, EventRow, Filter, KnownRequest, OffboardingRow};
use crate::domain::ids::{CallerId, CustomerId, OffboardingId, PartnerTenantId, RequestId};

/// The request of this caller, if it was accepted.
pub(super) async fn known_request(
    pool: &SqlitePool,
    caller: &CallerId,
    request: RequestId,
) -> Result<Option<KnownRequest>, sqlx::Error> {
    sqlx::query("SELECT offboarding, digest FROM request_ids WHERE caller = ? AND request = ?")
        .bind(caller.0.as_str())
        .bind(bytes(request.0))
        .fetch_optional(pool)
        .await?
        .map(|row| {
            Ok(KnownRequest {
                id: OffboardingId(id(&row, "offboarding")?),
                request_digest: hash(&row, "digest")?,
            })
        })
        .transpose()
}

/// The unfinished offboarding of a partner's customer.
pub(super) async fn unfinished(
    pool: &SqlitePool,
    partner: PartnerTenantId,
    customer: CustomerId,
) -> Result<Option<OffboardingId>, sqlx::Error> {
    sqlx::query("SELECT id FROM offboardings WHERE partner = ? AND customer = ? AND ended = 0")
        .bind(bytes(partner.0))
        .bind(bytes(customer.0))
        .fetch_optional(pool)
        .await?
        .map(|row| Ok(OffboardingId(id(&row, "id")?)))
        .transpose()
}

/// The newest ended offboarding of a partner's customer that saw a removal.
pub(super) async fn earlier_removal(
    pool: &SqlitePool,
    partner: PartnerTenantId,
    customer: CustomerId,
) -> Result<Option<OffboardingId>, sqlx::Error> {
    sqlx::query(
        "SELECT id FROM offboardings WHERE customer = ? AND partner = ? AND ended = 1 \
         AND removal_seen = 1 ORDER BY created DESC, id DESC LIMIT 1",
    )
    .bind(bytes(customer.0))
    .bind(bytes(partner.0))
    .fetch_optional(pool)
    .await?
    .map(|row| Ok(OffboardingId(id(&row, "id")?)))
    .transpose()
}

/// One offboarding.
pub(super) async fn load(
    pool: &SqlitePool,
    which: OffboardingId,
) -> Result<Option<OffboardingRow>, sqlx::Error> {
    sqlx::query(concat!(
        "SELECT ",
        row_columns!(),
        " FROM offboardings WHERE id = ?"
    ))
    .bind(bytes(which.0))
    .fetch_optional(pool)
    .await?
    .map(|row| offboarding(&row))
    .transpose()
}

/// Events of one offboarding after a sequence.
pub(super) async fn events(
    pool: &SqlitePool,
    of: OffboardingId,
    after: u64,
    limit: u32,
) -> Result<Vec<EventRow>, sqlx::Error> {
    sqlx::query(
        "SELECT sequence, at, format, kind, state, hash, text FROM events \
         WHERE offboarding = ? AND sequence > ? ORDER BY sequence LIMIT ?",
    )
    .bind(bytes(of.0))
    .bind(signed(after))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?
    .iter()
    .map(event)
    .collect()
}

/// Offboardings by filter, newest first.
pub(super) async fn list(
    pool: &SqlitePool,
    filter: &Filter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Vec<OffboardingRow>, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(concat!(
        "SELECT ",
        row_columns!(),
        " FROM offboardings AS o WHERE 1 = 1"
    ));
    one_of(&mut query, "state", &filter.states, |it| it.clone());
    one_of(&mut query, "partner", &filter.partners, |it| bytes(it.0));
    one_of(&mut query, "customer", &filter.customers, |it| bytes(it.0));
    one_of(&mut query, "waiting_on", &filter.waiting_on, |it| {
        it.clone()
    });
    for (kind, pairs) in [("label", &filter.labels), ("reference", &filter.references)] {
        for (name, value) in pairs {
            query.push(" AND id IN (SELECT offboarding FROM facets WHERE kind = ");
            query.push_bind(kind);
            query.push(" AND name = ").push_bind(name.clone());
            query.push(" AND value = ").push_bind(value.clone());
            query.push(")");
        }
    }
    if !filter.blocker_reasons.is_empty() {
        query.push(" AND id IN (SELECT offboarding FROM facets WHERE kind = 'blocker'");
        one_of(&mut query, "name", &filter.blocker_reasons, |it| it.clone());
        query.push(")");
    }
    for (condition, bound) in [
        (" AND created >= ", filter.created_from),
        (" AND created < ", filter.created_before),
        (" AND updated >= ", filter.updated_from),
        (" AND updated < ", filter.updated_before),
    ] {
        if let Some(bound) = bound {
            query.push(condition).push_bind(bound.as_microsecond());
        }
    }
    if let Some(cursor) = after {
        query.push(" AND (created, id) < (");
        query.push_bind(cursor.created.as_microsecond());
        query.push(", ").push_bind(bytes(cursor.id.0)).push(")");
    }
    query.push(" ORDER BY created DESC, id DESC LIMIT ");
    query.push_bind(i64::from(limit));
    query
        .build()
        .fetch_all(pool)
        .await
        .and_then(|rows| rows.iter().map(offboarding).collect())
}

fn one_of<'q, T, V>(
    query: &mut QueryBuilder<Sqlite>,
    column: &str,
    values: &[T],
    value: impl Fn(&T) -> V,
) where
    V: sqlx::Encode<'q, Sqlite> + sqlx::Type<Sqlite>,
{
    if values.is_empty() {
        return;
    }
    query.push(" AND ").push(column).push(" IN (");
    let mut list = query.separated(", ");
    for it in values {
        list.push_bind(value(it));
    }
    query.push(")");
}
