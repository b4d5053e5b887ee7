//! Entitlements: software and reservations, and what a reservation's artifact links say.

use futures::future::join_all;
use serde_json::Value;

use super::classify::Addressee;
use super::fields::{Fields, Read};
use super::request::{Api, Target};
use crate::application::upstream::Call;
use crate::domain::failure::UpstreamFailure;
use crate::domain::ids::CustomerId;
use crate::domain::snapshot::{Entitlement, EntitlementKind, Part, Reservation};
use crate::http::TokenUse;

/// An entitlement as listed, with the links that still have to be followed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    pub(super) entitlement: Entitlement,
    pub(super) artifacts: Vec<Option<String>>,
}

fn target<'a>(endpoint: &'static str, customer: CustomerId, call: &'a Call) -> Target<'a> {
    Target {
        endpoint,
        addressee: Addressee::BelowCustomer,
        customer: Some(customer),
        // Documented by Microsoft as a prerequisite.
        token: TokenUse::AppUser,
        call,
    }
}

/// `GET …/entitlements?showExpiry=true`: without a type it lists all of them (Microsoft's example
/// shows software and reservations together), so that one call is enough.
pub(super) async fn list(
    api: &Api,
    customer: CustomerId,
    call: &Call,
) -> Result<Vec<Listed>, UpstreamFailure> {
    let target = target("GET /v1/customers/{customer}/entitlements", customer, call);
    let mut url = api.url(&["customers", &customer.to_string(), "entitlements"]);
    url.query_pairs_mut().append_pair("showExpiry", "true");
    let body = api.get(&target, url).await?;
    decode(&body).map_err(api.shape(&target))
}

pub(super) fn decode(body: &Value) -> Read<Vec<Listed>> {
    // `includedEntitlements` come with the purchase and go with it: not counted again.
    Fields::of(body)?.items()?.iter().map(decode_one).collect()
}

fn decode_one(item: &Fields<'_>) -> Read<Listed> {
    let order = item.object("referenceOrder")?;
    let of_order = |name: &str| match &order {
        Some(order) => order.word(name),
        None => Ok(None),
    };
    let said = item.word("entitlementType")?.unwrap_or_default();
    let letters: String = said
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    let mut artifacts = Vec::new();
    let kind = match letters.as_str() {
        "software" => EntitlementKind::Software,
        // `reservedinstance`, older `virtual_machine_reserved_instance`.
        letters if letters.ends_with("reservedinstance") => {
            for artifact in item.list("entitledArtifacts")? {
                let link = match artifact.object("link")? {
                    Some(link) => link.word("uri")?,
                    None => None,
                };
                artifacts.push(link);
            }
            EntitlementKind::Reservation(Vec::new())
        }
        _ => EntitlementKind::Other(said),
    };
    let quantity = item
        .integer("quantity")?
        .ok_or_else(|| item.wrong("quantity", "is missing"))?;
    let mut unfulfilled = Vec::new();
    for detail in item.list("quantityDetails")? {
        let status = detail.word("status")?.unwrap_or_default();
        if !status.eq_ignore_ascii_case("fulfilled") {
            unfulfilled.push((detail.integer("quantity")?.unwrap_or_default(), status));
        }
    }
    Ok(Listed {
        entitlement: Entitlement {
            order_id: of_order("id")?.unwrap_or_default(),
            alternate_order_id: of_order("alternateId")?,
            line_item_id: of_order("lineItemId")?.unwrap_or_default(),
            product_id: item.word("productId")?.unwrap_or_default(),
            sku_id: item.word("skuId")?.unwrap_or_default(),
            quantity,
            unfulfilled,
            kind,
            expires: item.date("expiryDate")?,
        },
        artifacts,
    })
}

/// Follows the artifact links of every reservation, side by side.
pub(super) async fn with_reservations(
    api: &Api,
    customer: CustomerId,
    listed: Vec<Listed>,
    call: &Call,
) -> Vec<Entitlement> {
    join_all(listed.into_iter().map(async |mut listed| {
        if let EntitlementKind::Reservation(details) = &mut listed.entitlement.kind {
            *details = join_all(listed.artifacts.iter().map(async |link| {
                let value = artifact(api, customer, link.as_deref(), call).await;
                Part {
                    at: api.now(),
                    value,
                }
            }))
            .await;
        }
        listed.entitlement
    }))
    .await
}

/// One artifact link.
async fn artifact(
    api: &Api,
    customer: CustomerId,
    link: Option<&str>,
    call: &Call,
) -> Result<Vec<Reservation>, UpstreamFailure> {
    let target = target("GET {artifact link of a reservation}", customer, call);
    let link =
        link.ok_or_else(|| api.nonsense(&target, "the reservation's artifact has no link"))?;
    let url = api.follow(link).map_err(|why| api.nonsense(&target, why))?;
    let body = api.get(&target, url).await?;
    decode_artifact(&body).map_err(api.shape(&target))
}

pub(super) fn decode_artifact(body: &Value) -> Read<Vec<Reservation>> {
    let fields = Fields::of(body)?;
    let name = ["reservations", "virtualMachineReservations"]
        .into_iter()
        .find(|name| fields.value(name).is_some())
        .ok_or_else(|| fields.wrong("reservations", "is missing"))?;
    let mut all = Vec::new();
    for item in fields.list(name)? {
        all.push(Reservation {
            id: item.required("reservationId")?.into(),
            name: item.word("displayName")?.unwrap_or_default(),
            quantity: item.integer("quantity")?.unwrap_or_default(),
            provisioning_state: item.word("provisioningState")?.unwrap_or_default(),
            expires: item.date("expiryDateTime")?,
        });
    }
    Ok(all)
}
