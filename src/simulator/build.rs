//! From a scenario to the state it describes, with ids and defaults made from the seed.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use uuid::Uuid;

use super::error::SimulatorError;
use super::model::{
    AzureSubscription, Customer, Partner, Reservation, Software, Subscription, Transfer, World,
};
use super::moment::{Moment, add};
use super::scenario::{
    CustomerSpec, PartnerSpec, ReservationSpec, Scenario, SoftwareSpec, SubscriptionKind,
    SubscriptionSpec, TransferSpec,
};
use super::seed;

impl World {
    /// Builds the state that `scenario` describes for a simulator whose clock shows `start`.
    pub(super) fn new(scenario: &Scenario, start: Timestamp) -> Result<Self, SimulatorError> {
        let mut partners = BTreeMap::new();
        for spec in &scenario.partners {
            let partner = Partner::new(spec, scenario.seed, start)?;
            if partners.insert(spec.tenant_id, partner).is_some() {
                return Err(SimulatorError::Scenario(format!(
                    "partner tenant {} is listed twice",
                    spec.tenant_id
                )));
            }
        }
        Ok(Self {
            seed: scenario.seed,
            behaviour: scenario.behaviour.clone(),
            partners,
            first_partner: scenario.partners.first().map(|p| p.tenant_id),
        })
    }

    /// The customer under this partner, whatever its relationship.
    pub(super) fn customer_mut(&mut self, partner: Uuid, customer: Uuid) -> Option<&mut Customer> {
        self.partners
            .get_mut(&partner)?
            .customers
            .get_mut(&customer)
    }
}

impl Partner {
    fn new(spec: &PartnerSpec, seed: u64, start: Timestamp) -> Result<Self, SimulatorError> {
        let mut customers = BTreeMap::new();
        for customer in &spec.customers {
            let built = Customer::new(customer, spec.tenant_id, seed, start)?;
            if customers.insert(customer.id, built).is_some() {
                return Err(SimulatorError::Scenario(format!(
                    "customer {} is listed twice under partner {}",
                    customer.id, spec.tenant_id
                )));
            }
        }
        Ok(Self {
            tenant_id: spec.tenant_id,
            name: spec.name.clone(),
            model: spec.model,
            mpn_id: spec.mpn_id.clone(),
            client_id: spec.client_id,
            client_secret: spec.client_secret.clone(),
            client_assertion_public_key: spec.client_assertion_public_key.clone(),
            refresh_tokens: vec![spec.refresh_token.clone()],
            user_principal_name: spec.user_principal_name.clone(),
            relationships: spec.relationships.clone(),
            customers,
            audit: Vec::new(),
        })
    }
}

impl Customer {
    fn new(
        spec: &CustomerSpec,
        partner: Uuid,
        seed: u64,
        start: Timestamp,
    ) -> Result<Self, SimulatorError> {
        let mut customer = Self {
            id: spec.id,
            commerce_id: seed::id(seed, &format!("{}/commerce", spec.id)),
            name: spec.name.clone(),
            domain: spec.domain.clone(),
            relationship: spec.relationship.clone(),
            allow_delegated_access: spec.allow_delegated_access,
            under_review: spec.under_review,
            locked: spec.locked,
            indirect_resellers: spec.indirect_resellers.clone(),
            removed: None,
            removal_due: None,
            subscriptions: Vec::with_capacity(spec.subscriptions.len()),
            reservations: Vec::new(),
            software: Vec::new(),
            transfers: Vec::new(),
        };
        for subscription in &spec.subscriptions {
            customer.add_subscription(subscription, seed, start)?;
        }
        for reservation in &spec.reservations {
            customer.add_reservation(reservation, seed, start)?;
        }
        for software in &spec.software {
            customer.add_software(software, seed, start)?;
        }
        for transfer in &spec.transfers {
            customer.add_transfer(transfer, partner, seed, start)?;
        }
        Ok(customer)
    }

    /// Finds a subscription by id; ids differ in case between answers, so case is ignored.
    pub(super) fn subscription(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions
            .iter()
            .find(|s| s.id.eq_ignore_ascii_case(id))
    }

    /// As [`Customer::subscription`], for changing.
    pub(super) fn subscription_mut(&mut self, id: &str) -> Option<&mut Subscription> {
        self.subscriptions
            .iter_mut()
            .find(|s| s.id.eq_ignore_ascii_case(id))
    }

    /// Adds a subscription and says under which id.
    pub(super) fn add_subscription(
        &mut self,
        spec: &SubscriptionSpec,
        seed: u64,
        start: Timestamp,
    ) -> Result<String, SimulatorError> {
        let place = format!("{}/subscription/{}", self.id, self.subscriptions.len());
        let subscription = Subscription::new(spec, &place, seed, start)?;
        if self.subscription(&subscription.id).is_some() {
            return Err(SimulatorError::Scenario(format!(
                "subscription {} is listed twice under customer {}",
                subscription.id, self.id
            )));
        }
        if let Some(parent) = &subscription.parent
            && self.subscription(parent).is_none()
        {
            return Err(SimulatorError::Scenario(format!(
                "parent {parent} of subscription {} is not listed before it",
                subscription.id
            )));
        }
        let id = subscription.id.clone();
        self.subscriptions.push(subscription);
        Ok(id)
    }

    /// Adds a reservation and says under which id.
    pub(super) fn add_reservation(
        &mut self,
        spec: &ReservationSpec,
        seed: u64,
        start: Timestamp,
    ) -> Result<Uuid, SimulatorError> {
        let place = format!("{}/reservation/{}", self.id, self.reservations.len());
        let reservation = Reservation {
            id: spec.id.unwrap_or_else(|| seed::id(seed, &place)),
            group: seed::id(seed, &format!("{place}/group")),
            line: seed::id(seed, &format!("{place}/line")),
            name: spec.name.clone(),
            product_id: product_id(seed, &place),
            quantity: spec.quantity,
            effective: start,
            expires: spec.expires.resolve(start)?,
            cancelled: spec.cancelled,
            reservation_type: spec.reservation_type.clone(),
            order_id: order_id(spec.order_id.as_deref(), seed, &place),
        };
        let id = reservation.id;
        self.reservations.push(reservation);
        Ok(id)
    }

    /// Adds a software purchase and says under which order.
    pub(super) fn add_software(
        &mut self,
        spec: &SoftwareSpec,
        seed: u64,
        start: Timestamp,
    ) -> Result<String, SimulatorError> {
        let place = format!("{}/software/{}", self.id, self.software.len());
        let software = Software {
            name: spec.name.clone(),
            product_id: spec
                .product_id
                .clone()
                .unwrap_or_else(|| product_id(seed, &place)),
            quantity: spec.quantity,
            bought: start,
            expires: resolve(spec.expires.as_ref(), start)?,
            cancel_until: spec
                .cancel_until
                .clone()
                .unwrap_or_else(|| "+P30D".into())
                .resolve(start)?,
            included: spec.included.clone(),
            order_id: order_id(spec.order_id.as_deref(), seed, &place),
        };
        let order = software.order_id.clone();
        self.software.push(software);
        Ok(order)
    }

    /// Adds a transfer and says under which id.
    pub(super) fn add_transfer(
        &mut self,
        spec: &TransferSpec,
        partner: Uuid,
        seed: u64,
        start: Timestamp,
    ) -> Result<Uuid, SimulatorError> {
        let place = format!("{}/transfer/{}", self.id, self.transfers.len());
        let transfer = Transfer {
            id: spec.id.unwrap_or_else(|| seed::id(seed, &place)),
            source: spec.source_partner.unwrap_or(partner),
            target: spec
                .target_partner
                .unwrap_or_else(|| seed::id(seed, "another partner")),
            status: spec.status.clone(),
            created: start,
            changed: start,
            expires: spec
                .expires
                .clone()
                .unwrap_or_else(|| "+P30D".into())
                .resolve(start)?,
            subscriptions: spec.subscriptions.clone(),
        };
        let id = transfer.id;
        self.transfers.push(transfer);
        Ok(id)
    }
}

impl Subscription {
    fn new(
        spec: &SubscriptionSpec,
        place: &str,
        seed: u64,
        start: Timestamp,
    ) -> Result<Self, SimulatorError> {
        use SubscriptionKind as Kind;
        let kind = spec.kind;
        let id = match &spec.id {
            Some(id) => id.clone(),
            None if kind.is_legacy() => seed::id(seed, place).to_string().to_uppercase(),
            None => seed::id(seed, place).to_string(),
        };
        let begun = spec
            .start
            .clone()
            .unwrap_or_else(|| "-P100D".into())
            .resolve(start)?;
        let default_end: Moment = match kind {
            Kind::LegacyAzure | Kind::AzurePlan => "9999-12-14T00:00:00Z".into(),
            _ => "+P265D".into(),
        };
        let name = spec.name.clone().unwrap_or_else(|| format!("{kind:?}"));
        let term = spec.term.clone().unwrap_or_else(|| {
            match kind {
                Kind::NewCommerce | Kind::SoftwareSubscription | Kind::Marketplace => "P1Y",
                Kind::NewCommerceTrial => "P1M",
                Kind::SavingsPlan => "P3Y",
                _ => "",
            }
            .to_owned()
        });
        let billing_cycle = spec.billing_cycle.clone().unwrap_or_else(|| {
            match kind {
                Kind::NewCommerceTrial => "none",
                Kind::SoftwareSubscription => "annual",
                _ => "monthly",
            }
            .to_owned()
        });
        Ok(Self {
            kind,
            offer_id: spec
                .offer_id
                .clone()
                .unwrap_or_else(|| offer_id(kind, seed, &name)),
            friendly_name: name.clone(),
            name,
            quantity: spec.quantity,
            parent: spec.parent.clone(),
            created: begun,
            start: begun,
            term_end: spec
                .term_end
                .clone()
                .unwrap_or(default_end)
                .resolve(start)?,
            cancel_until: resolve(spec.cancel_until.as_ref(), start)?,
            status: spec.status,
            status_since: start,
            pending_until: resolve(spec.pending_until.as_ref(), start)?,
            auto_renew: spec
                .auto_renew
                .unwrap_or(!matches!(kind, Kind::LegacyAzure | Kind::LegacyTrial)),
            term,
            billing_cycle,
            scheduled_actions: spec.scheduled_actions.clone(),
            next_term_instructions: spec.next_term_instructions.clone(),
            next_charge_instructions: spec.next_charge_instructions.clone(),
            refund_options: spec.refund_options.clone(),
            azure: spec
                .azure_subscriptions
                .iter()
                .enumerate()
                .map(|(i, azure)| AzureSubscription {
                    id: azure
                        .id
                        .unwrap_or_else(|| seed::id(seed, &format!("{place}/azure/{i}"))),
                    name: azure.name.clone(),
                    active: azure.active,
                    inactive_at: None,
                })
                .collect(),
            order_id: match (&spec.order_id, kind.is_legacy()) {
                (Some(order), _) => order.clone(),
                (None, true) => seed::id(seed, &format!("{place}/order"))
                    .to_string()
                    .to_uppercase(),
                (None, false) => order_id(None, seed, place),
            },
            entitlement_id: (kind == Kind::LegacyAzure).then(|| {
                seed::id(seed, &format!("{place}/entitlement"))
                    .to_string()
                    .to_uppercase()
            }),
            version: 1,
            extended: false,
            pending_change: None,
            provisioning: (start, spec.status, spec.quantity),
            extra: spec.extra.clone(),
            id,
        })
    }

    /// The end of the term that follows this one.
    pub(super) fn next_term_end(&self) -> Timestamp {
        let span = match self.term.as_str() {
            "P1M" => 1.month(),
            "P3Y" => 3.years(),
            _ => 1.year(),
        };
        add(self.term_end, span).unwrap_or(Timestamp::MAX)
    }

    /// Whether the scheduled actions cancel this subscription at the end of its term.
    pub(super) fn ends_at_term(&self) -> bool {
        self.scheduled_actions.iter().any(|action| {
            let is = |name: &str, value: &str| {
                action.as_object().is_some_and(|o| {
                    o.iter().any(|(k, v)| {
                        k.eq_ignore_ascii_case(name)
                            && v.as_str().is_some_and(|v| v.eq_ignore_ascii_case(value))
                    })
                })
            };
            is("actionType", "Cancel") && is("scheduleType", "TermEnd")
        })
    }
}

fn resolve(moment: Option<&Moment>, start: Timestamp) -> Result<Option<Timestamp>, SimulatorError> {
    moment.map(|m| m.resolve(start)).transpose()
}

fn offer_id(kind: SubscriptionKind, seed: u64, name: &str) -> String {
    match kind {
        SubscriptionKind::LegacyAzure => "MS-AZR-0145P".to_owned(),
        SubscriptionKind::AzurePlan => "DZH318Z0BPS6:0001:DZH318Z0BMTX".to_owned(),
        kind if kind.is_legacy() => seed::id(seed, &format!("offer/{name}"))
            .to_string()
            .to_uppercase(),
        _ => {
            let product = product_id(seed, name);
            format!(
                "{product}:0001:{}",
                product_id(seed, &format!("{name}/availability"))
            )
        }
    }
}

/// Twelve letters and digits in the style of catalogue products.
fn product_id(seed: u64, place: &str) -> String {
    let hex = seed::id(seed, &format!("{place}/product"))
        .simple()
        .to_string();
    format!("CFQ{}", hex[..9].to_uppercase())
}

fn order_id(given: Option<&str>, seed: u64, place: &str) -> String {
    given.map_or_else(
        || {
            seed::id(seed, &format!("{place}/order"))
                .simple()
                .to_string()[..12]
                .to_owned()
        },
        str::to_owned,
    )
}
