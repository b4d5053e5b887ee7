//! Preview, and the link by which a customer comes back: they read and change nothing.

use crate::domain::ids::CustomerId;
use crate::domain::item::items;
use crate::domain::plan::plan;
use crate::domain::policy::Policy;

use super::super::error::{Earlier, Error};
use super::super::service::{Caller, Preview, Service};
use super::super::witness;
use super::{interactive, new_correlation};

impl Service {
    /// Everything that is in the way of a removal, and what would be done under `policy`.
    ///
    /// # Errors
    /// [`Error::CustomerNotRelated`], [`Error::Upstream`] when the customer itself cannot be read; parts
    /// that cannot be read are blockers of the preview instead.
    pub async fn preview(
        &self,
        caller: &Caller,
        partner: &str,
        customer: CustomerId,
        policy: Policy,
    ) -> Result<Preview, Error> {
        let partner = self.relationship(partner, customer)?;
        let call = interactive(caller, new_correlation());
        let snapshot = self.read(partner, customer, &call).await?;
        if let Some(answer) = snapshot.not_related() {
            let proof = witness::earlier_removal(
                self.store.as_ref(),
                partner.upstream.as_ref(),
                partner.tenant,
                customer,
                partner.clock.now(),
                &call,
            )
            .await?;
            return Err(Error::CustomerNotRelated {
                customer,
                earlier: match proof {
                    Ok(Some(_)) => Earlier::Removed,
                    Ok(None) => Earlier::Nothing,
                    Err(_) => Earlier::Unknown,
                },
                answer: Box::new(answer.clone()),
            });
        }
        Ok(Preview {
            alias: partner.alias.clone(),
            items: items(&snapshot),
            plan: plan(&snapshot, policy, partner.clock.now()),
            snapshot,
        })
    }

    /// The link by which a customer comes back, verbatim from upstream.
    ///
    /// # Errors
    /// [`Error::UnknownPartner`], [`Error::Upstream`].
    pub async fn relationship_request_link(
        &self,
        caller: &Caller,
        partner: &str,
    ) -> Result<String, Error> {
        let partner = self.partner(partner)?;
        let call = interactive(caller, new_correlation());
        partner
            .upstream
            .relationship_request_link(&call)
            .await
            .map_err(Error::from)
    }
}
