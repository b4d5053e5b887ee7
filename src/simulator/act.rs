//! Acting behind the service's back: as the customer, as Microsoft, or as a colleague in the portal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::audit;
use super::control::ControlHandle;
use super::customers;
use super::model::{Customer, World};
use super::scenario::{
    ReservationSpec, SoftwareSpec, SubscriptionSpec, SubscriptionStatus as Status, TransferSpec,
};
use super::seed;

/// Who acts. The actor decides what the audit shows: a colleague leaves a record with a user,
/// the customer and Microsoft leave none of the partner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Someone of the customer's.
    Customer,
    /// Microsoft: support, billing, time.
    Microsoft,
    /// Someone of the partner's, in the portal.
    Colleague,
}

/// One action. It happens at once, without the checks that the REST API makes; only
/// `remove_relationship` makes them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Act {
    /// Who acts.
    pub actor: Actor,
    /// The partner concerned; absent: the first of the scenario.
    #[serde(default)]
    pub partner: Option<Uuid>,
    /// The customer concerned.
    pub customer: Uuid,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
}

/// What an actor does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Cancels a subscription: its status becomes `deleted`.
    CancelSubscription {
        /// Subscription id.
        subscription: String,
    },
    /// Suspends a subscription, and with it its active add-ons.
    SuspendSubscription {
        /// Subscription id.
        subscription: String,
    },
    /// Reactivates a subscription.
    ReactivateSubscription {
        /// Subscription id.
        subscription: String,
    },
    /// Sets any status.
    SetStatus {
        /// Subscription id.
        subscription: String,
        /// The status it gets.
        status: Status,
    },
    /// Switches automatic renewal.
    SetAutoRenew {
        /// Subscription id.
        subscription: String,
        /// On or off.
        enabled: bool,
    },
    /// Buys a subscription.
    BuySubscription {
        /// What is bought.
        subscription: Box<SubscriptionSpec>,
    },
    /// Cancels a reservation.
    CancelReservation {
        /// Reservation id; absent: every reservation.
        #[serde(default)]
        reservation: Option<Uuid>,
    },
    /// Buys a reservation.
    BuyReservation {
        /// What is bought.
        reservation: ReservationSpec,
    },
    /// Cancels software: its quantity becomes 0.
    CancelSoftware {
        /// Order id; absent: every software purchase.
        #[serde(default)]
        order: Option<String>,
    },
    /// Buys software.
    BuySoftware {
        /// What is bought.
        software: SoftwareSpec,
    },
    /// Cancels an Azure subscription below a plan.
    CancelAzureSubscription {
        /// Entitlement id.
        azure_subscription: Uuid,
    },
    /// Reactivates an Azure subscription below a plan.
    ReactivateAzureSubscription {
        /// Entitlement id.
        azure_subscription: Uuid,
    },
    /// Ends the relationship, with the checks of the REST API.
    RemoveRelationship,
    /// Accepts the relationship: a customer comes (back).
    AcceptRelationship,
    /// Opens a transfer to another partner.
    OpenTransfer {
        /// The transfer.
        #[serde(default = "empty_transfer")]
        transfer: TransferSpec,
    },
    /// Completes a transfer: its subscriptions are gone from this partner.
    CompleteTransfer {
        /// Transfer id; absent: every open one.
        #[serde(default)]
        transfer: Option<Uuid>,
    },
    /// Puts the customer under review, or takes that away.
    SetUnderReview {
        /// Whether it is.
        under_review: bool,
    },
    /// Locks the customer for transactions, or unlocks it.
    SetLocked {
        /// Whether it is.
        locked: bool,
    },
}

fn empty_transfer() -> TransferSpec {
    TransferSpec {
        id: None,
        source_partner: None,
        target_partner: None,
        status: "Active".to_owned(),
        expires: None,
        subscriptions: Vec::new(),
    }
}

impl ControlHandle {
    /// Lets an actor act.
    ///
    /// # Errors
    /// In words, where what the action names does not exist or the action is refused; nothing
    /// changes then.
    pub fn act(&self, act: &Act) -> Result<Value, String> {
        let now = self.now();
        let mut inner = self.shared.lock();
        perform(&mut inner.world, act, now)
    }
}

fn perform(world: &mut World, act: &Act, now: Timestamp) -> Result<Value, String> {
    let seed = world.seed;
    let behaviour = world.behaviour.clone();
    let partner = act
        .partner
        .or(world.first_partner)
        .ok_or("the scenario has no partner")?;
    let customer = world
        .customer_mut(partner, act.customer)
        .ok_or_else(|| format!("customer {} does not exist", act.customer))?;
    customer.settle(&behaviour, now);
    let told = match &act.action {
        Action::CancelSubscription { subscription } => {
            set_status(customer, subscription, Status::Deleted, now)?
        }
        Action::SuspendSubscription { subscription } => {
            set_status(customer, subscription, Status::Suspended, now)?
        }
        Action::ReactivateSubscription { subscription } => {
            set_status(customer, subscription, Status::Active, now)?
        }
        Action::SetStatus {
            subscription,
            status,
        } => set_status(customer, subscription, *status, now)?,
        Action::SetAutoRenew {
            subscription,
            enabled,
        } => {
            let found = find(customer, subscription)?;
            found.auto_renew = *enabled;
            found.version += 1;
            json!({ "subscription": found.id, "autoRenewEnabled": enabled })
        }
        Action::BuySubscription { subscription } => {
            let id = customer
                .add_subscription(subscription, seed, now)
                .map_err(|e| e.to_string())?;
            json!({ "subscription": id })
        }
        Action::BuyReservation { reservation } => {
            let id = customer
                .add_reservation(reservation, seed, now)
                .map_err(|e| e.to_string())?;
            json!({ "reservation": id })
        }
        Action::BuySoftware { software } => {
            let order = customer
                .add_software(software, seed, now)
                .map_err(|e| e.to_string())?;
            json!({ "order": order })
        }
        Action::CancelReservation { reservation } => {
            let chosen: Vec<_> = customer
                .reservations
                .iter_mut()
                .filter(|r| reservation.is_none_or(|id| r.id == id))
                .collect();
            if chosen.is_empty() {
                return Err("no such reservation".to_owned());
            }
            let ids: Vec<Uuid> = chosen.iter().map(|r| r.id).collect();
            chosen.into_iter().for_each(|r| r.cancelled = true);
            json!({ "reservations": ids })
        }
        Action::CancelSoftware { order } => {
            let chosen: Vec<_> = customer
                .software
                .iter_mut()
                .filter(|s| order.as_deref().is_none_or(|o| s.order_id == o))
                .collect();
            if chosen.is_empty() {
                return Err("no such software purchase".to_owned());
            }
            let orders: Vec<String> = chosen.iter().map(|s| s.order_id.clone()).collect();
            chosen.into_iter().for_each(|s| s.quantity = 0);
            json!({ "orders": orders })
        }
        Action::CancelAzureSubscription { azure_subscription } => {
            set_azure(customer, *azure_subscription, false)?
        }
        Action::ReactivateAzureSubscription { azure_subscription } => {
            set_azure(customer, *azure_subscription, true)?
        }
        Action::RemoveRelationship => {
            if customer.removed.is_some() || customer.relationship == "none" {
                return Err("the relationship does not exist".to_owned());
            }
            let open = customers::obstacles(partner, customer, now);
            if !open.is_empty() {
                let open: Vec<String> = open
                    .into_iter()
                    .map(|o| format!("{} {} {}", o.resource, o.id, o.why))
                    .collect();
                return Err(format!("removal refused because of: {}", open.join("; ")));
            }
            customer.end_relationship(now, behaviour.removal_propagation_seconds);
            json!({ "removed": act.customer })
        }
        Action::AcceptRelationship => {
            customer.removed = None;
            customer.removal_due = None;
            customer.relationship = "reseller".to_owned();
            json!({ "related": act.customer })
        }
        Action::OpenTransfer { transfer } => {
            let id = customer
                .add_transfer(transfer, partner, seed, now)
                .map_err(|e| e.to_string())?;
            json!({ "transfer": id })
        }
        Action::CompleteTransfer { transfer } => complete_transfers(customer, *transfer, now)?,
        Action::SetUnderReview { under_review } => {
            customer.under_review = *under_review;
            json!({ "underReview": under_review })
        }
        Action::SetLocked { locked } => {
            customer.locked = *locked;
            json!({ "locked": locked })
        }
    };
    record(world, partner, act, &told, now);
    Ok(told)
}

fn find<'a>(
    customer: &'a mut Customer,
    id: &str,
) -> Result<&'a mut super::model::Subscription, String> {
    customer
        .subscription_mut(id)
        .ok_or_else(|| format!("subscription {id} does not exist"))
}

fn set_status(
    customer: &mut Customer,
    id: &str,
    status: Status,
    now: Timestamp,
) -> Result<Value, String> {
    let subscription = find(customer, id)?;
    subscription.pending_change = None;
    subscription.set_status(status, now);
    let (id, legacy) = (subscription.id.clone(), subscription.kind.is_legacy());
    if status == Status::Suspended && !legacy {
        subscription.auto_renew = false;
        subscription.scheduled_actions.clear();
        subscription.next_term_instructions = None;
    }
    if status == Status::Suspended {
        customer.suspend_children(&id, now);
    }
    Ok(json!({ "subscription": id, "status": status.as_str() }))
}

fn set_azure(customer: &mut Customer, id: Uuid, active: bool) -> Result<Value, String> {
    let azure = customer
        .subscriptions
        .iter_mut()
        .flat_map(|s| s.azure.iter_mut())
        .find(|a| a.id == id)
        .ok_or_else(|| format!("Azure subscription {id} does not exist"))?;
    azure.active = active;
    azure.inactive_at = None;
    Ok(json!({ "azureSubscription": id, "active": active }))
}

fn complete_transfers(
    customer: &mut Customer,
    wanted: Option<Uuid>,
    now: Timestamp,
) -> Result<Value, String> {
    let mut moved = Vec::new();
    let mut completed = Vec::new();
    for transfer in &mut customer.transfers {
        if transfer.status == "Active" && wanted.is_none_or(|id| id == transfer.id) {
            transfer.status = "Completed".to_owned();
            transfer.changed = now;
            completed.push(transfer.id);
            moved.append(&mut transfer.subscriptions.clone());
        }
    }
    if completed.is_empty() {
        return Err("no such open transfer".to_owned());
    }
    for id in &moved {
        if let Some(subscription) = customer.subscription_mut(id) {
            subscription.set_status(Status::Deleted, now);
        }
    }
    Ok(json!({ "transfers": completed, "moved": moved }))
}

/// What a colleague does in the portal is on record like what the API does.
fn record(world: &mut World, partner: Uuid, act: &Act, told: &Value, now: Timestamp) {
    let (resource_type, operation) = match act.action {
        Action::AcceptRelationship => ("partner_customer_relationship", "extend_relationship"),
        _ if act.actor != Actor::Colleague => return,
        Action::RemoveRelationship => (
            "partner_customer_relationship",
            "remove_partner_customer_relationship",
        ),
        Action::BuySubscription { .. }
        | Action::BuyReservation { .. }
        | Action::BuySoftware { .. } => ("order", "create_order"),
        Action::CancelSoftware { .. } => ("order", "update_order"),
        Action::CancelSubscription { .. }
        | Action::SuspendSubscription { .. }
        | Action::ReactivateSubscription { .. }
        | Action::SetStatus { .. }
        | Action::SetAutoRenew { .. } => ("subscription", "update_subscription"),
        _ => return,
    };
    let count = world.partners.get(&partner).map_or(0, |p| p.audit.len());
    let entry = audit::Entry {
        customer: act.customer,
        resource_type,
        operation,
        correlation_id: seed::id(world.seed, &format!("portal/{count}")).to_string(),
        user: (act.actor == Actor::Colleague).then(|| "colleague@partner.example".to_owned()),
        old_value: None,
        new_value: Some(told.clone()),
        data: Vec::new(),
    };
    audit::write(world, partner, now, entry);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::scenario::SubscriptionKind;
    use super::*;

    #[test]
    fn actions_read_as_they_are_documented() {
        let act: Act = serde_json::from_value(json!({
            "actor": "colleague", "customer": Uuid::nil(), "action": "buy_subscription",
            "subscription": { "kind": "new_commerce", "name": "Team Calls" },
        }))
        .unwrap();
        let Action::BuySubscription { subscription } = act.action else {
            panic!("another action was read");
        };
        assert_eq!(subscription.kind, SubscriptionKind::NewCommerce);
    }

    #[test]
    fn a_transfer_can_be_opened_without_details() {
        let act: Act = serde_json::from_value(json!({
            "actor": "customer", "customer": Uuid::nil(), "action": "open_transfer",
        }))
        .unwrap();
        assert!(matches!(act.action, Action::OpenTransfer { .. }));
    }
}
