//! List: offboardings by filter, newest first, in pages.

use crate::domain::ids::OffboardingId;
use crate::domain::time::Time;

use super::super::error::Error;
use super::super::page;
use super::super::service::{Caller, ListFilter, Page, Service, Status};
use super::super::store::{Cursor, StoreError};

impl Service {
    /// A page of offboardings.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`]. A partner that is not configured matches by its tenant; an unknown
    /// alias is [`Error::UnknownPartner`].
    pub async fn list(
        &self,
        caller: &Caller,
        filter: ListFilter,
        page_size: u32,
        page_token: &str,
    ) -> Result<Page<Status>, Error> {
        let ListFilter {
            partners,
            mut filter,
        } = filter;
        for named in partners {
            // Offboardings of a partner that is no longer configured can still be listed.
            let tenant = match named.parse() {
                Ok(tenant) => tenant,
                Err(_) => self.partner(&named)?.tenant,
            };
            filter.partners.push(tenant);
        }
        let binding = page::binding(&caller.id.0, &format!("list {filter:?}"));
        let cursor: Option<(i64, OffboardingId)> = page::read(&binding, page_token)?;
        let cursor = cursor
            .map(|(created, id)| {
                Time::from_microsecond(created)
                    .map(|created| Cursor { created, id })
                    .map_err(|_| Error::InvalidPageToken)
            })
            .transpose()?;
        let mut rows = self
            .store
            .list(&filter, cursor, page_size.saturating_add(1))
            .await?;
        let more = rows.len() > page_size as usize;
        rows.truncate(page_size as usize);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|row| page::write(&binding, (row.created.as_microsecond(), row.id)));
        let rows = rows
            .iter()
            .map(|row| self.status_of(row))
            .collect::<Result<Vec<_>, Error>>()
            .map_err(|error| match error {
                Error::Store(StoreError::Corrupt(what)) => {
                    Error::Store(StoreError::Corrupt(format!("in a list: {what}")))
                }
                other => other,
            })?;
        Ok(Page { rows, next })
    }
}
