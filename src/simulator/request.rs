//! A request as the endpoints see it, and the list of endpoints.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::journal::Authorization;

/// One request to the REST API, its token already looked at.
#[derive(Debug)]
pub(super) struct ApiRequest<'a> {
    pub(super) endpoint: Endpoint,
    /// Path below `/v1`, split at slashes.
    pub(super) segments: Vec<&'a str>,
    pub(super) path_and_query: &'a str,
    /// Query parameters, names in lower case.
    pub(super) query: BTreeMap<String, String>,
    pub(super) if_match: Option<&'a str>,
    pub(super) continuation: Option<&'a str>,
    pub(super) correlation_id: &'a str,
    pub(super) body: Option<&'a Value>,
    pub(super) partner: Uuid,
    pub(super) authorization: Authorization,
    pub(super) now: Timestamp,
    /// A fault asks for 202 and an effect so many seconds later.
    pub(super) delay_effect: Option<u32>,
    /// A fault asks for another propagation delay of the removal, in seconds.
    pub(super) propagation: Option<u32>,
}

impl ApiRequest<'_> {
    /// A query parameter by name in lower case.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

macro_rules! endpoints {
    ($($variant:ident $name:literal $app_user:literal,)*) => {
        /// The endpoints there are.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Endpoint { $(#[doc = $name] $variant,)* }

        impl Endpoint {
            /// Name in the journal and in fault rules.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether an app-only token is refused (403/900329).
            pub(super) fn needs_user(self) -> bool {
                match self { $(Self::$variant => $app_user,)* }
            }
        }
    };
}

endpoints! {
    Token "token" false,
    GenerateToken "generate_token" false,
    ListCustomers "list_customers" false,
    GetCustomer "get_customer" false,
    UpdateCustomer "update_customer" true,
    RelationshipRequest "relationship_request" true,
    CustomerRelationships "customer_relationships" true,
    ListSubscriptions "list_subscriptions" false,
    GetSubscription "get_subscription" false,
    UpdateSubscription "update_subscription" false,
    ListAddons "list_addons" false,
    ListAzureEntitlements "list_azure_entitlements" false,
    GetAzureEntitlement "get_azure_entitlement" false,
    CancelAzureEntitlement "cancel_azure_entitlement" false,
    SupportContact "support_contact" true,
    ProvisioningStatus "provisioning_status" true,
    ListEntitlements "list_entitlements" true,
    ReservationArtifact "reservation_artifact" true,
    ListOrders "list_orders" false,
    GetOrder "get_order" false,
    UpdateOrder "update_order" false,
    ListTransfers "list_transfers" false,
    GetTransfer "get_transfer" false,
    PartnerRelationships "partner_relationships" false,
    AuditRecords "audit_records" false,
    NotAllowed "method_not_allowed" false,
    Unknown "unknown" false,
}

impl Endpoint {
    /// Which endpoint a method and path below `/v1` name. Literal segments match in any case.
    pub(super) fn of(method: &str, segments: &[&str]) -> Self {
        let lower: Vec<String> = segments.iter().map(|s| s.to_ascii_lowercase()).collect();
        let shape: Vec<&str> = lower.iter().map(String::as_str).collect();
        match (method, shape.as_slice()) {
            ("GET", ["customers"]) => Self::ListCustomers,
            ("GET", ["customers", "relationshiprequests"]) => Self::RelationshipRequest,
            ("GET", ["customers", _]) => Self::GetCustomer,
            ("PATCH", ["customers", _]) => Self::UpdateCustomer,
            ("GET", ["customers", _, "relationships"]) => Self::CustomerRelationships,
            ("GET", ["customers", _, "subscriptions"]) => Self::ListSubscriptions,
            ("GET", ["customers", _, "subscriptions", _]) => Self::GetSubscription,
            ("PATCH", ["customers", _, "subscriptions", _]) => Self::UpdateSubscription,
            ("GET", ["customers", _, "subscriptions", _, "addons"]) => Self::ListAddons,
            ("GET", ["customers", _, "subscriptions", _, "azureentitlements"]) => {
                Self::ListAzureEntitlements
            }
            ("GET", ["customers", _, "subscriptions", _, "azureentitlements", _]) => {
                Self::GetAzureEntitlement
            }
            (
                "POST",
                [
                    "customers",
                    _,
                    "subscriptions",
                    _,
                    "azureentitlements",
                    _,
                    "cancel",
                ],
            ) => Self::CancelAzureEntitlement,
            ("GET", ["customers", _, "subscriptions", _, "supportcontact"]) => Self::SupportContact,
            ("GET", ["customers", _, "subscriptions", _, "provisioningstatus"]) => {
                Self::ProvisioningStatus
            }
            ("GET", ["customers", _, "entitlements"]) => Self::ListEntitlements,
            (
                "GET",
                [
                    "customers",
                    _,
                    "artifacts",
                    _,
                    "groups",
                    _,
                    "lineitems",
                    _,
                    "resource",
                    _,
                ],
            ) => Self::ReservationArtifact,
            ("GET", ["customers", _, "orders"]) => Self::ListOrders,
            ("GET", ["customers", _, "orders", _]) => Self::GetOrder,
            ("PATCH", ["customers", _, "orders", _]) => Self::UpdateOrder,
            ("GET", ["customers", _, "transfers"]) => Self::ListTransfers,
            ("GET", ["customers", _, "transfers", _]) => Self::GetTransfer,
            ("GET", ["relationships"]) => Self::PartnerRelationships,
            ("GET", ["auditrecords"]) => Self::AuditRecords,
            // A known place with another verb, deletion of a customer above all.
            (
                _,
                ["customers"]
                | ["customers", _]
                | ["customers", _, "subscriptions"]
                | ["customers", _, "subscriptions", _]
                | ["customers", _, "orders", _],
            ) => Self::NotAllowed,
            _ => Self::Unknown,
        }
    }
}
