//! relationship-service: ends a reseller relationship in Microsoft Partner Center.
pub mod simulator;
