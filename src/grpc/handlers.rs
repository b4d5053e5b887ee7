//! Handlers: check the request, ask the use case, fill the answer. Nothing is decided here.

use std::time::Duration;

use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::application::service::Service;

use super::proto::relationship_service_server::RelationshipService;
use super::{caller::caller, convert, errors, proto, watch};

/// The RPCs over the use cases.
pub(super) struct Handlers {
    pub(super) service: Service,
    /// How often a watch gives a sign of life.
    pub(super) heartbeat: Duration,
    /// Ends all watches when the service stops.
    pub(super) stopping: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;

/// Turns errors into statuses and the rest into a response.
fn answer<T>(result: Result<T, crate::application::error::Error>) -> Answer<T> {
    result
        .map(Response::new)
        .map_err(|error| errors::status(&error))
}

#[tonic::async_trait]
impl RelationshipService for Handlers {
    async fn preview_removal(
        &self,
        request: Request<proto::PreviewRemovalRequest>,
    ) -> Answer<proto::PreviewRemovalResponse> {
        let caller = caller(&request);
        answer(
            async {
                let (partner, customer, policy) = convert::preview_request(request.into_inner())?;
                let preview = self
                    .service
                    .preview(&caller, &partner, customer, policy)
                    .await?;
                Ok(proto::PreviewRemovalResponse {
                    preview: Some(convert::preview(&preview)),
                })
            }
            .await,
        )
    }

    async fn remove_relationship(
        &self,
        request: Request<proto::RemoveRelationshipRequest>,
    ) -> Answer<proto::RemoveRelationshipResponse> {
        let caller = caller(&request);
        answer(
            async {
                let removal = convert::removal(request.into_inner())?;
                let status = self.service.remove(&caller, removal).await?;
                Ok(proto::RemoveRelationshipResponse {
                    offboarding: Some(convert::offboarding(&status)),
                })
            }
            .await,
        )
    }

    async fn get_offboarding_status(
        &self,
        request: Request<proto::GetOffboardingStatusRequest>,
    ) -> Answer<proto::GetOffboardingStatusResponse> {
        let caller = caller(&request);
        answer(
            async {
                let selector = convert::selector(request.into_inner())?;
                let status = self.service.status(&caller, selector).await?;
                Ok(proto::GetOffboardingStatusResponse {
                    offboarding: Some(convert::offboarding(&status)),
                })
            }
            .await,
        )
    }

    async fn list_offboarding_events(
        &self,
        request: Request<proto::ListOffboardingEventsRequest>,
    ) -> Answer<proto::ListOffboardingEventsResponse> {
        let caller = caller(&request);
        answer(
            async {
                let asked = convert::events(request.into_inner())?;
                let page = self
                    .service
                    .events(&caller, asked.id, asked.page_size, &asked.page_token)
                    .await?;
                Ok(proto::ListOffboardingEventsResponse {
                    events: page.rows.iter().map(convert::event).collect(),
                    next_page_token: page.next.unwrap_or_default(),
                })
            }
            .await,
        )
    }

    type WatchOffboardingStream =
        BoxStream<'static, Result<proto::WatchOffboardingResponse, Status>>;

    async fn watch_offboarding(
        &self,
        request: Request<proto::WatchOffboardingRequest>,
    ) -> Answer<Self::WatchOffboardingStream> {
        let caller = caller(&request);
        answer(
            async {
                let (id, after) = convert::watch(request.into_inner())?;
                let watch = self.service.watch(&caller, id, after).await?;
                Ok(watch::stream(
                    watch,
                    watch::Terms {
                        heartbeat: self.heartbeat,
                        deadline: caller.deadline,
                        stopping: self.stopping.clone(),
                    },
                ))
            }
            .await,
        )
    }

    async fn list_offboardings(
        &self,
        request: Request<proto::ListOffboardingsRequest>,
    ) -> Answer<proto::ListOffboardingsResponse> {
        let caller = caller(&request);
        answer(
            async {
                let asked = convert::list(request.into_inner())?;
                let page = self
                    .service
                    .list(&caller, asked.filter, asked.page_size, &asked.page_token)
                    .await?;
                Ok(proto::ListOffboardingsResponse {
                    offboardings: page.rows.iter().map(convert::offboarding).collect(),
                    next_page_token: page.next.unwrap_or_default(),
                })
            }
            .await,
        )
    }

    async fn cancel_offboarding(
        &self,
        request: Request<proto::CancelOffboardingRequest>,
    ) -> Answer<proto::CancelOffboardingResponse> {
        let caller = caller(&request);
        answer(
            async {
                let (id, reason) = convert::cancel(request.into_inner())?;
                let cancelled = self.service.cancel(&caller, id, &reason).await?;
                Ok(proto::CancelOffboardingResponse {
                    offboarding: Some(convert::offboarding(&cancelled.status)),
                    irreversible: cancelled.irreversible,
                })
            }
            .await,
        )
    }

    async fn get_relationship_request_link(
        &self,
        request: Request<proto::GetRelationshipRequestLinkRequest>,
    ) -> Answer<proto::GetRelationshipRequestLinkResponse> {
        let caller = caller(&request);
        answer(
            async {
                let partner = convert::partner_only(request.into_inner())?;
                let url = self
                    .service
                    .relationship_request_link(&caller, &partner)
                    .await?;
                Ok(proto::GetRelationshipRequestLinkResponse { url })
            }
            .await,
        )
    }
}
