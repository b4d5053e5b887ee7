//! The scenario document: who exists in the simulated Partner Center, and how it behaves.
//!
//! `docs/simulator.md` describes the JSON form for people. Every moment may be relative to the
//! start of the simulator ([`Moment`]).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::moment::Moment;

/// Everything the simulator starts from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Feeds every id and every choice that the simulator makes by itself.
    #[serde(default)]
    pub seed: u64,
    /// How the simulator answers where Partner Center's behaviour varies or is not documented.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// The partners' accounts, each with its customers.
    pub partners: Vec<PartnerSpec>,
}

/// The answer for a customer to whom the partner has no relationship. The status is not documented;
/// each of these was seen or is listed among Microsoft's error codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoneAnswer {
    /// 403 with code 20002.
    #[default]
    NoRelationship,
    /// 403 with code 900159.
    NoRelationshipIds,
    /// 404 with code 1000.
    CustomerNotFound,
    /// 404 with code 60003.
    TenantNotFound,
    /// 404 without a body.
    Empty,
}

/// How a cancelled reservation shows afterwards (not documented by Microsoft).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelledReservation {
    /// Listed as before; only its artifact says `Cancelled`.
    #[default]
    Artifact,
    /// Listed with quantity 0.
    QuantityZero,
    /// No longer listed.
    Vanishes,
}

/// Times and variants of the simulated Partner Center. Delays follow the simulator's clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Seconds from an accepted removal until the customer is gone from reads and lists.
    pub removal_propagation_seconds: u32,
    /// Seconds from a change until its audit record can be read.
    pub audit_delay_seconds: u32,
    /// Share (0 to 1) of subscription changes answered 202 and applied later.
    pub accepted_share: f64,
    /// Seconds until a change answered 202 takes effect.
    pub accepted_delay_seconds: u32,
    /// Seconds until a cancelled Azure subscription turns inactive.
    pub azure_cancel_seconds: u32,
    /// How a customer without relationship is refused.
    pub gone_answer: GoneAnswer,
    /// How cancelled reservations show.
    pub cancelled_reservation: CancelledReservation,
    /// Lifetime of access tokens in seconds of real time.
    pub token_lifetime_seconds: u32,
    /// Whether the token endpoint hands out a new refresh token with each app+user token.
    pub rotate_refresh_tokens: bool,
    /// Whether new-commerce subscriptions that end without renewal and without an explicit
    /// cancellation go into a monthly extended term instead of expiring.
    pub extended_service_term: bool,
    /// Bearer tokens accepted though not issued here, as app+user tokens of the first partner.
    pub accept_tokens: Vec<String>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            removal_propagation_seconds: 90,
            audit_delay_seconds: 60,
            accepted_share: 0.0,
            accepted_delay_seconds: 5,
            azure_cancel_seconds: 600,
            gone_answer: GoneAnswer::default(),
            cancelled_reservation: CancelledReservation::default(),
            token_lifetime_seconds: 3900,
            rotate_refresh_tokens: false,
            extended_service_term: true,
            accept_tokens: Vec::new(),
        }
    }
}

/// How a partner does business with its customers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartnerModel {
    /// Bills its customers itself.
    #[default]
    Direct,
    /// Sells through indirect resellers.
    IndirectProvider,
    /// Sells through an indirect provider; may not remove relationships.
    IndirectReseller,
}

/// One partner account and its credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerSpec {
    /// The partner's Entra tenant.
    pub tenant_id: Uuid,
    /// Display name; answers name it as the support contact.
    pub name: String,
    /// Billing model.
    #[serde(default)]
    pub model: PartnerModel,
    /// Partner (MPN) id.
    #[serde(default = "default_mpn_id")]
    pub mpn_id: String,
    /// Application (client) id.
    pub client_id: Uuid,
    /// Client secret; absent: only client assertions are accepted.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// PEM of the public key that client assertions must be signed with (RS256 or PS256); absent:
    /// an assertion's claims are checked, its signature is not.
    #[serde(default)]
    pub client_assertion_public_key: Option<String>,
    /// Refresh token of the consented user.
    pub refresh_token: String,
    /// The user that consented; audit records name it.
    #[serde(default = "default_user")]
    pub user_principal_name: String,
    /// Partner-to-partner relationships.
    #[serde(default)]
    pub relationships: Vec<PartnerRelationshipSpec>,
    /// The customers of this partner.
    #[serde(default)]
    pub customers: Vec<CustomerSpec>,
}

fn default_mpn_id() -> String {
    "4391507".to_owned()
}

fn default_user() -> String {
    "offboarding@partner.example".to_owned()
}

/// A relationship between this partner and another one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerRelationshipSpec {
    /// The other partner.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// `is_indirect_cloud_solution_provider_of` or `is_indirect_reseller_of`.
    pub relationship_type: String,
    /// Its partner (MPN) id.
    #[serde(default = "default_mpn_id")]
    pub mpn_id: String,
}

/// One customer of a partner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerSpec {
    /// The customer's Entra tenant.
    pub id: Uuid,
    /// Company name.
    pub name: String,
    /// Default domain.
    pub domain: String,
    /// `reseller`, `advisor`, …; `none` for a customer that is not related (yet).
    #[serde(default = "default_relationship")]
    pub relationship: String,
    /// Whether the partner holds delegated admin privileges.
    #[serde(default)]
    pub allow_delegated_access: bool,
    /// Under review: changes are refused with 403/800073.
    #[serde(default)]
    pub under_review: bool,
    /// Locked for transactions: changes are refused with 403/900416.
    #[serde(default)]
    pub locked: bool,
    /// Indirect resellers that serve this customer (indirect provider only).
    #[serde(default)]
    pub indirect_resellers: Vec<PartnerRelationshipSpec>,
    /// Subscriptions of every kind.
    #[serde(default)]
    pub subscriptions: Vec<SubscriptionSpec>,
    /// Azure reservations.
    #[serde(default)]
    pub reservations: Vec<ReservationSpec>,
    /// Software purchases.
    #[serde(default)]
    pub software: Vec<SoftwareSpec>,
    /// Transfers from or to another partner.
    #[serde(default)]
    pub transfers: Vec<TransferSpec>,
}

fn default_relationship() -> String {
    "reseller".to_owned()
}

/// What a subscription is. The kind decides its wire form and its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionKind {
    /// Licence-based, legacy offer.
    LegacyLicense,
    /// Legacy add-on below a parent.
    LegacyAddon,
    /// Legacy trial.
    LegacyTrial,
    /// Legacy Azure, billed by usage (`MS-AZR-0145P`).
    LegacyAzure,
    /// New-commerce licence.
    NewCommerce,
    /// New-commerce trial: can be neither suspended nor cancelled.
    NewCommerceTrial,
    /// New-commerce software subscription; listed among the entitlements too.
    SoftwareSubscription,
    /// Azure plan with Azure subscriptions below it.
    AzurePlan,
    /// Azure savings plan: not manageable here.
    SavingsPlan,
    /// Third-party software as a service from the marketplace.
    Marketplace,
}

impl SubscriptionKind {
    /// Legacy kinds have etags, upper-case ids and no `productType`.
    #[must_use]
    pub fn is_legacy(self) -> bool {
        matches!(
            self,
            Self::LegacyLicense | Self::LegacyAddon | Self::LegacyTrial | Self::LegacyAzure
        )
    }

    /// Trials of either commerce.
    #[must_use]
    pub fn is_trial(self) -> bool {
        matches!(self, Self::LegacyTrial | Self::NewCommerceTrial)
    }
}

/// Status of a subscription, documented by Microsoft.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// Unknown.
    None,
    /// In use.
    #[default]
    Active,
    /// Being provisioned.
    Pending,
    /// Stopped by the partner.
    Suspended,
    /// Its term ended.
    Expired,
    /// Ended a while ago, data still kept.
    Disabled,
    /// Gone.
    Deleted,
}

impl SubscriptionStatus {
    /// The value as Partner Center spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }
}

/// One subscription. Everything but the kind has a default that fits the kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionSpec {
    /// Absent: made from the seed.
    #[serde(default)]
    pub id: Option<String>,
    /// What it is.
    pub kind: SubscriptionKind,
    /// Offer name and friendly name.
    #[serde(default)]
    pub name: Option<String>,
    /// Offer id; absent: one that fits the kind.
    #[serde(default)]
    pub offer_id: Option<String>,
    /// Seats.
    #[serde(default = "one")]
    pub quantity: u32,
    /// Id of the parent subscription (legacy add-ons).
    #[serde(default)]
    pub parent: Option<String>,
    /// Status at start.
    #[serde(default)]
    pub status: SubscriptionStatus,
    /// Where `status` is `pending`: when it becomes active. Absent: never.
    #[serde(default)]
    pub pending_until: Option<Moment>,
    /// Start of the term.
    #[serde(default)]
    pub start: Option<Moment>,
    /// End of the term.
    #[serde(default)]
    pub term_end: Option<Moment>,
    /// Last moment of cancellation; absent: cannot be cancelled.
    #[serde(default)]
    pub cancel_until: Option<Moment>,
    /// Whether the term renews.
    #[serde(default)]
    pub auto_renew: Option<bool>,
    /// `P1M`, `P1Y`, `P3Y`; empty for legacy.
    #[serde(default)]
    pub term: Option<String>,
    /// `monthly`, `annual`, `triennial`, `one_time`, `none`.
    #[serde(default)]
    pub billing_cycle: Option<String>,
    /// Scheduled actions, for instance `[{"scheduleType":"TermEnd","actionType":"Cancel"}]`.
    #[serde(default)]
    pub scheduled_actions: Vec<Value>,
    /// Scheduled next-term instructions.
    #[serde(default)]
    pub next_term_instructions: Option<Value>,
    /// Next-charge instructions.
    #[serde(default)]
    pub next_charge_instructions: Option<Value>,
    /// Refund options, as on the wire.
    #[serde(default)]
    pub refund_options: Option<Value>,
    /// Azure subscriptions below an Azure plan.
    #[serde(default)]
    pub azure_subscriptions: Vec<AzureSubscriptionSpec>,
    /// Order that bought it; absent: made from the seed.
    #[serde(default)]
    pub order_id: Option<String>,
    /// Further members of the wire form, kept as they are.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

impl SubscriptionSpec {
    /// A subscription of this kind with every default.
    #[must_use]
    pub fn new(kind: SubscriptionKind) -> Self {
        Self {
            id: None,
            kind,
            name: None,
            offer_id: None,
            quantity: 1,
            parent: None,
            status: SubscriptionStatus::Active,
            pending_until: None,
            start: None,
            term_end: None,
            cancel_until: None,
            auto_renew: None,
            term: None,
            billing_cycle: None,
            scheduled_actions: Vec::new(),
            next_term_instructions: None,
            next_charge_instructions: None,
            refund_options: None,
            azure_subscriptions: Vec::new(),
            order_id: None,
            extra: Map::new(),
        }
    }
}

fn one() -> u32 {
    1
}

/// An Azure subscription (entitlement) below an Azure plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzureSubscriptionSpec {
    /// Absent: made from the seed.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Display name.
    pub name: String,
    /// Whether it starts active.
    #[serde(default = "yes")]
    pub active: bool,
}

fn yes() -> bool {
    true
}

/// An Azure reservation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservationSpec {
    /// Reservation id; absent: made from the seed.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Display name.
    pub name: String,
    /// Quantity.
    #[serde(default = "one")]
    pub quantity: u32,
    /// When it expires.
    pub expires: Moment,
    /// Whether it is cancelled already.
    #[serde(default)]
    pub cancelled: bool,
    /// `virtualmachines`, `sqldatabases`, `suselinux`, `redhat`, …
    #[serde(default = "default_reservation_type")]
    pub reservation_type: String,
    /// Order that bought it; absent: made from the seed.
    #[serde(default)]
    pub order_id: Option<String>,
}

fn default_reservation_type() -> String {
    "virtualmachines".to_owned()
}

/// A software purchase (perpetual, or with an expiry).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftwareSpec {
    /// Display name (on the order line).
    pub name: String,
    /// Product id; absent: one made from the seed.
    #[serde(default)]
    pub product_id: Option<String>,
    /// Quantity; 0 when cancelled.
    #[serde(default = "one")]
    pub quantity: u32,
    /// When it expires; absent: never.
    #[serde(default)]
    pub expires: Option<Moment>,
    /// Last moment of cancellation; absent: 30 days from the start of the simulator.
    #[serde(default)]
    pub cancel_until: Option<Moment>,
    /// Further entitlements that came with it: product ids.
    #[serde(default)]
    pub included: Vec<String>,
    /// Order that bought it; absent: made from the seed.
    #[serde(default)]
    pub order_id: Option<String>,
}

/// A transfer of subscriptions between two partners.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferSpec {
    /// Absent: made from the seed.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// The partner that gives up; absent: this partner.
    #[serde(default)]
    pub source_partner: Option<Uuid>,
    /// The partner that takes over; absent: another one made from the seed.
    #[serde(default)]
    pub target_partner: Option<Uuid>,
    /// `Active`, `Completed`, `Expired`, …
    #[serde(default = "default_transfer_status")]
    pub status: String,
    /// When it lapses; absent: 30 days from the start of the simulator.
    #[serde(default)]
    pub expires: Option<Moment>,
    /// Subscriptions it moves.
    #[serde(default)]
    pub subscriptions: Vec<String>,
}

fn default_transfer_status() -> String {
    "Active".to_owned()
}
