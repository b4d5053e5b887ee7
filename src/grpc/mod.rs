//! gRPC: the generated API.

/// The generated messages, client and server of `relationship.v1`.
pub mod proto {
    tonic::include_proto!("relationship.v1");
}
