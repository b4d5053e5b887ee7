//! Invitation: lines to try by hand while the demo stays up. They work as they stand.

use uuid::Uuid;

use super::stage::{PARTNER, Stage};
use crate::cli::screen::{Screen, Tone};

/// What to try, and how to end it.
pub(super) fn text(stage: &Stage, screen: Screen) -> String {
    let address = stage.address();
    let service = "relationship.v1.RelationshipService";
    let call = |data: &str, method: &str| {
        format!("grpcurl -plaintext -d '{data}' \\\n    {address} {service}/{method}")
    };
    let (gone, spare) = (stage.customer, stage.spare);
    let newest = |customer: Uuid| {
        format!(
            r#"{{"newest_of":
    {{"partner": "{PARTNER}", "customer_id": "{customer}"}}}}"#
        )
    };
    let lines = [
        (
            "what there is",
            format!("grpcurl -plaintext {address} describe {service}"),
        ),
        (
            "the offboarding you have just seen",
            call(&newest(gone), "GetOffboardingStatus"),
        ),
        (
            "another customer: what is in the way",
            call(
                &format!(
                    r#"{{"customer_id": "{spare}",
    "policy": {{"suspend": true}}}}"#
                ),
                "PreviewRemoval",
            ),
        ),
        (
            "end that relationship too",
            call(
                &format!(
                    r#"{{"customer_id": "{spare}",
    "policy": {{"suspend": true}}, "reason": "tried by hand",
    "request_id": "{}"}}"#,
                    Uuid::new_v4()
                ),
                "RemoveRelationship",
            ),
        ),
        ("and look", call(&newest(spare), "GetOffboardingStatus")),
        (
            "all of them",
            format!("grpcurl -plaintext {address} {service}/ListOffboardings"),
        ),
    ];
    let mut out = format!(
        "\n{}\n",
        screen.paint(Tone::Strong, "The service stays up. Try it:")
    );
    for (what, line) in lines {
        out.push_str(&format!(
            "\n{}\n{line}\n",
            screen.paint(Tone::Faint, &format!("# {what}"))
        ));
    }
    out.push_str(&format!(
        "\n{}\nrelationship-service preview {spare} --suspend \\\n    --server http://{address}\n\n\
         Ctrl-C ends it.\n",
        screen.paint(Tone::Faint, "# the same without grpcurl")
    ));
    out
}
