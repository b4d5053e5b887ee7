//! JSON for scripts: every message of the API as proto3 JSON with the field names of the proto files.
//!
//! Enums are written by name, moments as RFC 3339, 64-bit numbers as numbers, and fields without a value
//! as empty ones, so that a script finds the same members every time.

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

/// The descriptors that the build compiled.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relationship_descriptor.bin"));

/// A message could not be turned into JSON.
#[derive(Debug, thiserror::Error)]
#[error("cannot show {message} as JSON: {error}")]
pub struct NoJson {
    message: String,
    error: String,
}

/// `message` as JSON. `name` is its name in package `relationship.v1`, e.g. `Offboarding`.
///
/// # Errors
/// [`NoJson`] when there is no message of that name, or `message` is another one.
pub fn value<M: prost::Message>(name: &str, message: &M) -> Result<Value, NoJson> {
    let failed = |error: String| NoJson {
        message: name.to_owned(),
        error,
    };
    let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|error| failed(error.to_string()))?;
    let descriptor = pool
        .get_message_by_name(&format!("relationship.v1.{name}"))
        .ok_or_else(|| failed("there is no such message".to_owned()))?;
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic
        .transcode_from(message)
        .map_err(|error| failed(error.to_string()))?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    dynamic
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::grpc::proto;

    #[test]
    fn fields_keep_the_names_of_the_proto_files_and_are_there_even_when_empty() {
        let shown = value(
            "Offboarding",
            &proto::Offboarding {
                offboarding_id: "x".to_owned(),
                state: proto::OffboardingState::Clearing as i32,
                sequence: 1 << 60,
                create_time: Some(prost_types::Timestamp {
                    seconds: 1_700_000_000,
                    nanos: 5_000_000,
                }),
                ..Default::default()
            },
        )
        .unwrap();
        assert_eq!(shown["offboarding_id"], "x");
        assert_eq!(shown["state"], "OFFBOARDING_STATE_CLEARING");
        assert_eq!(shown["sequence"], 1_i64 << 60);
        assert_eq!(shown["create_time"], "2023-11-14T22:13:20.005Z");
        assert_eq!(shown["effects"], serde_json::json!([]));
    }
}
