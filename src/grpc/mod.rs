//! gRPC adapter: requests → use cases → answers.
//!
//! `convert` translates between protobuf and the domain and finds every violation of a request at once;
//! `handlers` are thin; `errors` is the only place that builds a status; `layers` wrap every call;
//! `server` puts it all behind a listener.

mod caller;
mod convert;
pub mod errors;
mod handlers;
pub mod layers;
pub mod server;
mod watch;

/// Types generated from `proto/relationship/v1`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod proto {
    tonic::include_proto!("relationship.v1");
}

/// The compiled protobuf definitions, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/relationship_descriptor.bin"));
