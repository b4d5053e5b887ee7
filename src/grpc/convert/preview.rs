//! Preview: snapshot, items, blockers and plan → protobuf.

use crate::application::service::Preview;
use crate::domain::blocker::{Blocker, Resource};
use crate::domain::describe;
use crate::domain::item::Item;
use crate::domain::plan::Plan;
use crate::domain::snapshot::{Snapshot, Standing};
use crate::grpc::proto;

use super::{enums, timestamp};

/// A preview.
pub(in crate::grpc) fn preview(preview: &Preview) -> proto::Preview {
    let Preview {
        alias,
        snapshot,
        items,
        plan,
    } = preview;
    let standing: Vec<_> = plan.standing().map(Blocker::key).collect();
    let customer_name = match snapshot.standing.get() {
        Some(Standing::Related(customer)) => customer.name.clone(),
        _ => String::new(),
    };
    proto::Preview {
        partner_tenant_id: snapshot.partner.to_string(),
        partner: alias.to_string(),
        customer_id: snapshot.customer.to_string(),
        customer_name,
        items: items.iter().map(|i| item(snapshot, i)).collect(),
        blockers: plan
            .blockers
            .iter()
            .map(|b| blocker(b, !standing.contains(&b.key())))
            .collect(),
        plan: Some(self::plan(plan)),
        removable: standing.is_empty() && snapshot.not_related().is_none(),
        parts: describe::parts(snapshot)
            .into_iter()
            .map(|part| proto::SnapshotPart {
                name: part.name,
                read_time: Some(timestamp(part.at)),
                readable: part.readable,
            })
            .collect(),
    }
}

/// A thing in Partner Center.
pub(super) fn resource(resource: &Resource) -> proto::Resource {
    proto::Resource {
        kind: enums::kind(resource.kind) as i32,
        id: resource.id.to_string(),
        name: resource.name.clone(),
    }
}

/// A blocker, and whether the plan clears it.
pub(super) fn blocker(blocker: &Blocker, cleared_by_plan: bool) -> proto::Blocker {
    let (cleared_by, policy_field) = enums::cleared_by(blocker.cleared_by);
    proto::Blocker {
        reason: enums::reason(blocker.reason) as i32,
        certainty: enums::certainty(blocker.certainty) as i32,
        resource: Some(resource(&blocker.resource)),
        message: blocker.message.clone(),
        cleared_by: cleared_by as i32,
        policy_field: policy_field.to_owned(),
        remedy: blocker.remedy.clone(),
        earliest_time: blocker.earliest.map(timestamp),
        term_end_time: blocker.term_end.map(timestamp),
        at_term_end: enums::at_term_end(blocker.at_term_end) as i32,
        cleared_by_plan,
    }
}

fn item(snapshot: &Snapshot, item: &Item) -> proto::Item {
    proto::Item {
        resource: Some(resource(&item.resource)),
        kind: item.kind.clone(),
        status: item.status.clone(),
        product: item.product.clone(),
        sku: item.sku.clone(),
        quantity: item.quantity,
        term: item.term.clone(),
        billing_cycle: item.billing_cycle.clone(),
        order_id: item.order_id.clone(),
        parent_id: item
            .parent
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        is_trial: item.is_trial,
        in_extended_term: item.in_extended_term,
        auto_renew: item.auto_renew,
        term_end_time: item.term_end.map(timestamp),
        at_term_end: enums::at_term_end(item.at_term_end) as i32,
        cancel_until_time: item.cancel_until.map(timestamp),
        refund_options: item
            .refunds
            .iter()
            .map(|refund| proto::RefundOption {
                r#type: refund.kind.clone(),
                until_time: refund.until.map(timestamp),
            })
            .collect(),
        reseller_of_record: item.reseller_of_record.clone().unwrap_or_default(),
        read_time: describe::read_time(snapshot, item).map(timestamp),
    }
}

fn plan(plan: &Plan) -> proto::Plan {
    proto::Plan {
        actions: plan
            .actions
            .iter()
            .map(|action| proto::PlannedAction {
                resource: Some(resource(&action.resource)),
                action: action.action.as_str().to_owned(),
                group: describe::group_number(&plan.actions, action.group) as i32,
                consequence: action.consequence.clone(),
            })
            .collect(),
        plan_hash: plan.hash.to_string(),
        irreversible: plan.irreversible.clone(),
        stays_behind: plan.stays_behind.clone(),
    }
}
