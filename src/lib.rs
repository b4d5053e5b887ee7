//! relationship-service: ends a reseller relationship in Microsoft Partner Center.

pub mod application;
pub mod cli;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod http;
pub mod partner_center;
pub mod serve;
pub mod simulator;
pub mod store;
pub mod telemetry;
