//! Partner Center over REST: implements the port [`PartnerCenter`] for one partner.
//!
//! `settings` says who and where; `client` is the port; one module per resource holds one function
//! per endpoint; `classify` is the one table that says what a refusal means; `fields` and
//! `rewrite` read and change bodies whatever the case of their member names.
//!
//! [`PartnerCenter`]: crate::application::upstream::PartnerCenter

mod audit;
mod body;
pub mod business_clock;
pub mod classify;
mod client;
mod customers;
mod entitlements;
mod fields;
mod links;
mod relationships;
mod request;
mod rewrite;
pub mod settings;
mod snapshot;
mod subscriptions;
mod transfers;

pub use business_clock::{BusinessClock, BusinessClockError};
pub use client::PartnerCenterClient;
pub use settings::{Cloud, PartnerSettings, SettingsError};
