//! A subscription as the domain sees it: its kind, its status, its term and how that term ends.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::ResourceId;
use super::time::Time;

/// Product part of the catalogue id of every Azure plan (seen in Microsoft's documentation).
const AZURE_PLAN_PRODUCT: &str = "DZH318Z0BPS6";

/// `status` of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SubscriptionStatus {
    /// In use and billed.
    Active,
    /// Still provisioning.
    Pending,
    /// Users blocked; new commerce is still billed, legacy is not.
    Suspended,
    /// Past its term end.
    Expired,
    /// Past its term end for longer.
    Disabled,
    /// Cancelled or gone.
    Deleted,
    /// Anything else, as upstream wrote it (`none` included).
    Other(String),
}

impl SubscriptionStatus {
    /// Upstream's spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::Other(text) => text,
        }
    }

    /// Whether nothing more can come of the subscription.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Expired | Self::Disabled | Self::Deleted)
    }
}

impl From<String> for SubscriptionStatus {
    fn from(text: String) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "active" => Self::Active,
            "pending" => Self::Pending,
            "suspended" => Self::Suspended,
            "expired" => Self::Expired,
            "disabled" => Self::Disabled,
            "deleted" => Self::Deleted,
            _ => Self::Other(text),
        }
    }
}

impl From<&str> for SubscriptionStatus {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<SubscriptionStatus> for String {
    fn from(status: SubscriptionStatus) -> Self {
        status.as_str().to_owned()
    }
}

impl fmt::Display for SubscriptionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What rules apply to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionKind {
    /// Legacy licence subscription, trials and add-ons included.
    Legacy,
    /// Legacy Azure, billed by usage (`MS-AZR-…`).
    LegacyUsage,
    /// New-commerce licence.
    NewCommerce,
    /// New-commerce trial.
    NewCommerceTrial,
    /// New-commerce software subscription.
    Software,
    /// Azure plan.
    AzurePlan,
    /// Azure savings plan (billing type benefit).
    SavingsPlan,
    /// Third-party SaaS from the marketplace.
    Marketplace,
    /// Matches no row of the table: never touched, always blocks.
    Unknown,
}

impl SubscriptionKind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Legacy,
        Self::LegacyUsage,
        Self::NewCommerce,
        Self::NewCommerceTrial,
        Self::Software,
        Self::AzurePlan,
        Self::SavingsPlan,
        Self::Marketplace,
        Self::Unknown,
    ];

    /// Stable name in records and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::LegacyUsage => "legacy_usage",
            Self::NewCommerce => "new_commerce",
            Self::NewCommerceTrial => "new_commerce_trial",
            Self::Software => "software",
            Self::AzurePlan => "azure_plan",
            Self::SavingsPlan => "savings_plan",
            Self::Marketplace => "marketplace",
            Self::Unknown => "unknown",
        }
    }
}

/// What upstream will do when the term ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtTermEnd {
    /// Renews for another term.
    Renews,
    /// Ends: an explicit cancellation at term end is scheduled, or a legacy term runs out.
    Ends,
    /// Passes into a monthly, dearer extended term (new commerce, auto-renew off, no explicit
    /// cancellation; since 2026-05-04).
    Extends,
    /// A trial becomes a paid subscription.
    TurnsPaid,
    /// There is no term, or upstream does not say.
    Unknown,
}

impl AtTermEnd {
    /// The words for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Renews => "renews automatically",
            Self::Ends => "ends",
            Self::Extends => "passes into a monthly extended term unless cancelled at term end",
            Self::TurnsPaid => "turns into a paid subscription unless cancelled at term end",
            Self::Unknown => "not stated by Partner Center",
        }
    }
}

/// One way to get money back, as upstream states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundOption {
    /// `Full` or `Partial`, as upstream wrote it.
    pub kind: String,
    /// Until when; `None` when upstream gives no date.
    pub until: Option<Time>,
}

/// A subscription (or add-on) of the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Subscription id.
    pub id: ResourceId,
    /// Friendly name, else offer name.
    pub name: String,
    /// Offer name as in the catalogue.
    pub product: String,
    /// Catalogue id: a GUID or `MS-AZR-…` (legacy), `product:sku:availability` (new commerce).
    pub offer_id: Option<String>,
    /// `productType.id`; absent on legacy subscriptions.
    pub product_type: Option<String>,
    /// `unitType`, e.g. `Licenses`.
    pub unit_type: String,
    /// `billingType`: `none`, `usage`, `license`, `benefit`.
    pub billing_type: String,
    /// Status.
    pub status: SubscriptionStatus,
    /// Seats or units.
    pub quantity: i64,
    /// Trial flag.
    pub is_trial: bool,
    /// Auto-renew; `None` when upstream leaves it out.
    pub auto_renew: Option<bool>,
    /// `termDuration` as ISO 8601 (`P1M`, `P1Y`, `P3Y`), empty when there is none.
    pub term: String,
    /// `billingCycle` as upstream wrote it.
    pub billing_cycle: String,
    /// Id of the order that bought it.
    pub order_id: Option<String>,
    /// The subscription this one is an add-on of.
    pub parent: Option<ResourceId>,
    /// End of the current term (`commitmentEndDateTime`, else `commitmentEndDate`); year 9999 is no date.
    pub term_end: Option<Time>,
    /// Last moment at which it can be cancelled; `None`: it cannot.
    pub cancellation_allowed_until: Option<Time>,
    /// Whether a cancellation at term end is scheduled (`scheduledActions`).
    pub cancels_at_term_end: bool,
    /// `scheduledNextTermInstructions`, verbatim; kept so that a suspension can be undone whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_term: Option<serde_json::Value>,
    /// `scheduledActions`, verbatim; kept for the same reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_actions: Option<serde_json::Value>,
    /// Refund options.
    pub refunds: Vec<RefundOption>,
    /// `isMicrosoftProduct`; `None` when left out.
    pub is_microsoft_product: Option<bool>,
    /// Reseller of record in two-tier (`partnerId`).
    pub reseller_of_record: Option<String>,
}

impl Subscription {
    /// Product and SKU part of a new-commerce catalogue id, in upper case.
    pub fn product_and_sku(&self) -> Option<(String, String)> {
        let mut parts = self.offer_id.as_deref()?.split(':');
        let product = parts.next()?.to_ascii_uppercase();
        let sku = parts.next()?.to_ascii_uppercase();
        Some((product, sku))
    }

    /// Which rules apply.
    ///
    /// Legacy is what has no `productType` and an `offerId` that is absent, a GUID or `MS-AZR-…`
    /// (inferred from Microsoft's documented bodies; `OnlineServicesNCE` and `Software` are documented
    /// values of `productType.id`).
    pub fn kind(&self) -> SubscriptionKind {
        use SubscriptionKind as K;
        if self.billing_type.eq_ignore_ascii_case("benefit")
            || self.unit_type.eq_ignore_ascii_case("benefit")
        {
            return K::SavingsPlan;
        }
        let product = self.product_and_sku().map(|(product, _)| product);
        if product.as_deref() == Some(AZURE_PLAN_PRODUCT) {
            return K::AzurePlan;
        }
        match self
            .product_type
            .as_deref()
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None => match self.offer_id.as_deref() {
                Some(offer) if offer.to_ascii_uppercase().starts_with("MS-AZR-") => K::LegacyUsage,
                Some(offer) if !is_guid(offer) => K::Unknown,
                _ if self.billing_type.eq_ignore_ascii_case("usage") => K::LegacyUsage,
                _ => K::Legacy,
            },
            Some("software") => K::Software,
            Some(_) if self.is_microsoft_product == Some(false) => K::Marketplace,
            Some("onlineservicesnce") if self.is_trial => K::NewCommerceTrial,
            Some("onlineservicesnce") => K::NewCommerce,
            Some("azure") if self.billing_type.eq_ignore_ascii_case("usage") => K::AzurePlan,
            Some(_) => K::Unknown,
        }
    }

    /// What upstream will do when the term ends.
    pub fn at_term_end(&self) -> AtTermEnd {
        use SubscriptionKind as K;
        if self.cancels_at_term_end {
            return AtTermEnd::Ends;
        }
        match (self.kind(), self.auto_renew) {
            (K::AzurePlan | K::LegacyUsage | K::Unknown, _) => AtTermEnd::Unknown,
            // Documented: a new-commerce trial turns paid by default; only an explicit
            // cancellation at term end prevents it.
            (K::NewCommerceTrial, _) => AtTermEnd::TurnsPaid,
            (_, Some(true)) => AtTermEnd::Renews,
            (K::NewCommerce, Some(false)) => AtTermEnd::Extends,
            (K::Legacy | K::Software | K::SavingsPlan | K::Marketplace, Some(false)) => {
                AtTermEnd::Ends
            }
            (_, None) => AtTermEnd::Unknown,
        }
    }

    /// The fields that a suspension may touch.
    pub fn fields(&self) -> ChangeableFields {
        ChangeableFields {
            status: self.status.clone(),
            auto_renew: self.auto_renew,
            next_term: self.next_term.clone(),
            scheduled_actions: self.scheduled_actions.clone(),
        }
    }

    /// Whether it runs in its extended term: new commerce that can be cancelled up to its term end
    /// (inferred from the note on extended service terms).
    pub fn in_extended_term(&self) -> bool {
        self.kind() == SubscriptionKind::NewCommerce
            && self.auto_renew == Some(false)
            && self.term_end.is_some()
            && self.term_end == self.cancellation_allowed_until
    }
}

fn is_guid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::parse_str(text).is_ok()
}

/// What a suspension may change besides the status; kept before an effect so that it can be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeableFields {
    /// Status.
    pub status: SubscriptionStatus,
    /// `autoRenewEnabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_renew: Option<bool>,
    /// `scheduledNextTermInstructions`, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_term: Option<serde_json::Value>,
    /// `scheduledActions`, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_actions: Option<serde_json::Value>,
}
