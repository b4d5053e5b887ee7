//! Caller: who calls and until when the answer is wanted. The one place that reads it from a request.

use crate::application::service::Caller;
use crate::domain::ids::CallerId;

use super::layers::Deadline;

/// The caller of a request. Callers are not authenticated, so everybody is `local`.
pub(super) fn caller<T>(request: &tonic::Request<T>) -> Caller {
    Caller {
        id: CallerId::local(),
        deadline: request
            .extensions()
            .get::<Deadline>()
            .map(|deadline| deadline.0),
    }
}
