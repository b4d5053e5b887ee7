//! relationship-service: ends a reseller relationship in Microsoft Partner Center.

pub mod application;
pub mod domain;
pub mod grpc;
