//! Status, log and watch of one offboarding.

use super::super::error::Error;
use super::super::log::read_event;
use super::super::page;
use super::super::service::{Caller, LoggedEvent, Page, Selector, Service, Status};
use super::super::store::{Filter, OffboardingRow};
use super::super::watch::Watch;
use crate::domain::ids::OffboardingId;

impl Service {
    /// Where an offboarding stands.
    ///
    /// # Errors
    /// [`Error::OffboardingNotFound`], [`Error::UnknownPartner`].
    pub async fn status(&self, _caller: &Caller, selector: Selector) -> Result<Status, Error> {
        let filter = match selector {
            Selector::Id(id) => return self.status_of(&self.row(id).await?),
            Selector::Newest { partner, customer } => Filter {
                partners: vec![self.relationship(&partner, customer)?.tenant],
                customers: vec![customer],
                ..Filter::default()
            },
            Selector::Reference(reference) => Filter {
                references: vec![(reference.system, reference.id)],
                ..Filter::default()
            },
        };
        let newest = self.store.list(&filter, None, 1).await?;
        self.status_of(newest.first().ok_or(Error::OffboardingNotFound)?)
    }

    /// A page of the log, oldest first.
    ///
    /// # Errors
    /// [`Error::OffboardingNotFound`], [`Error::InvalidPageToken`].
    pub async fn events(
        &self,
        caller: &Caller,
        id: OffboardingId,
        page_size: u32,
        page_token: &str,
    ) -> Result<Page<LoggedEvent>, Error> {
        let binding = page::binding(&caller.id.0, &format!("events {id}"));
        let after: u64 = page::read(&binding, page_token)?.unwrap_or(0);
        let newest = self.row(id).await?.sequence;
        let rows = self.store.events(id, after, page_size).await?;
        let rows = rows
            .into_iter()
            .map(read_event)
            .collect::<Result<Vec<_>, _>>()?;
        let last = rows.last().map_or(after, |row| row.event.sequence);
        let next = (last < newest).then(|| page::write(&binding, last));
        Ok(Page { rows, next })
    }

    /// The status now, then every event after `after_sequence`.
    ///
    /// # Errors
    /// [`Error::OffboardingNotFound`].
    pub async fn watch(
        &self,
        _caller: &Caller,
        id: OffboardingId,
        after_sequence: u64,
    ) -> Result<Watch, Error> {
        let topic = Watch::subscribe(&self.hub, id);
        let status = self.status_of(&self.row(id).await?)?;
        Ok(Watch::new(
            status,
            self.store.clone(),
            topic,
            after_sequence,
        ))
    }

    pub(super) async fn row(&self, id: OffboardingId) -> Result<OffboardingRow, Error> {
        self.store.load(id).await?.ok_or(Error::OffboardingNotFound)
    }
}
