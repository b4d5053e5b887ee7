//! Client commands: one call each, and its answer for people or scripts.

use super::arguments::{
    CancelArgs, EventsArgs, LinkArgs, ListArgs, PreviewArgs, RemoveArgs, StatusArgs, WatchArgs,
};
use super::connection::Service;
use super::exit::Exit;
use super::failure::Failure;
use super::follow;
use super::progress;
use super::screen::{Screen, Tone};
use super::{show, words};
use crate::grpc::proto;

pub(super) async fn preview(
    mut service: Service,
    args: PreviewArgs,
    screen: Screen,
) -> Result<Exit, Failure> {
    let request = service.request(args.request());
    let response = service.client.preview_removal(request).await?.into_inner();
    let preview = response.preview.ok_or_else(|| empty("preview"))?;
    if screen.json {
        screen.json("Preview", &preview)?;
    } else {
        screen.print(&show::preview::text(&preview, screen))?;
    }
    Ok(if args.exit_code && !preview.removable {
        Exit::Blocked
    } else {
        Exit::Ok
    })
}

pub(super) async fn remove(
    mut service: Service,
    args: RemoveArgs,
    screen: Screen,
) -> Result<Exit, Failure> {
    let request_id = args
        .request_id
        .clone()
        .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    if args.request_id.is_none() && !args.validate_only {
        // Before the call: if the answer is lost, this is what makes asking again safe.
        eprintln!("request id {request_id}");
    }
    let request = service.request(args.request(&request_id));
    let response = match service.client.remove_relationship(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => {
            let failure = Failure::from(status);
            if failure.exit() == Exit::Unavailable && !args.validate_only {
                eprintln!(
                    "It is not known whether the request was accepted. Repeating it with \
                     --request-id {request_id} is safe."
                );
            }
            return Err(failure);
        }
    };
    let offboarding = response.offboarding.ok_or_else(|| empty("offboarding"))?;
    if args.wait {
        return wait(service, &offboarding.offboarding_id, 0, screen).await;
    }
    if screen.json {
        screen.json("Offboarding", &offboarding)?;
    } else {
        screen.print(&show::offboarding::text(&offboarding, screen))?;
        if !args.validate_only {
            screen.print(&format!(
                "\nFollow it with: relationship-service watch {}\n",
                offboarding.offboarding_id
            ))?;
        }
    }
    Ok(Exit::Ok)
}

pub(super) async fn status(
    mut service: Service,
    args: StatusArgs,
    screen: Screen,
) -> Result<Exit, Failure> {
    let request = service.request(args.request());
    let response = service
        .client
        .get_offboarding_status(request)
        .await?
        .into_inner();
    let offboarding = response.offboarding.ok_or_else(|| empty("offboarding"))?;
    if screen.json {
        screen.json("Offboarding", &offboarding)?;
    } else {
        screen.print(&show::offboarding::text(&offboarding, screen))?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn events(
    service: Service,
    args: EventsArgs,
    screen: Screen,
) -> Result<Exit, Failure> {
    let events = all_events(service, &args.offboarding).await?;
    if screen.json {
        let whole = proto::ListOffboardingEventsResponse {
            events,
            next_page_token: String::new(),
        };
        screen.json("ListOffboardingEventsResponse", &whole)?;
    } else {
        screen.print(&show::event::log(&events, screen))?;
    }
    Ok(Exit::Ok)
}

/// The whole log, over as many pages as it takes.
pub(super) async fn all_events(
    mut service: Service,
    offboarding_id: &str,
) -> Result<Vec<proto::OffboardingEvent>, Failure> {
    let mut events = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = service.request(proto::ListOffboardingEventsRequest {
            offboarding_id: offboarding_id.to_owned(),
            page_size: 1_000,
            page_token,
        });
        let page = service
            .client
            .list_offboarding_events(request)
            .await?
            .into_inner();
        events.extend(page.events);
        if page.next_page_token.is_empty() {
            return Ok(events);
        }
        page_token = page.next_page_token;
    }
}

pub(super) async fn watch(
    service: Service,
    args: WatchArgs,
    screen: Screen,
) -> Result<Exit, Failure> {
    wait(service, &args.offboarding, args.after_sequence, screen).await
}

async fn wait(
    service: Service,
    offboarding_id: &str,
    after: i64,
    screen: Screen,
) -> Result<Exit, Failure> {
    let mut view = progress::for_screen(screen);
    let ended = follow::to_the_end(service, offboarding_id, after, view.as_mut()).await?;
    if !screen.json {
        screen.print(&format!("\n{}", show::offboarding::text(&ended, screen)))?;
    }
    Ok(Exit::of_state(ended.state()))
}

pub(super) async fn list(
    mut service: Service,
    args: ListArgs,
    screen: Screen,
) -> Result<Exit, Failure> {
    let mut request = args.request();
    let mut whole = proto::ListOffboardingsResponse::default();
    loop {
        let page = service
            .client
            .list_offboardings(service.request(request.clone()))
            .await?
            .into_inner();
        whole.offboardings.extend(page.offboardings);
        whole.next_page_token = page.next_page_token;
        if !args.all || whole.next_page_token.is_empty() {
            break;
        }
        request.page_token.clone_from(&whole.next_page_token);
    }
    if screen.json {
        screen.json("ListOffboardingsResponse", &whole)?;
        return Ok(Exit::Ok);
    }
    screen.print(&show::list::table(&whole.offboardings, screen))?;
    if !whole.next_page_token.is_empty() {
        screen.print(&format!(
            "\nThere are more: --all, or --page-token {}\n",
            whole.next_page_token
        ))?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn cancel(
    mut service: Service,
    args: CancelArgs,
    screen: Screen,
) -> Result<Exit, Failure> {
    let request = service.request(proto::CancelOffboardingRequest {
        offboarding_id: args.offboarding.clone(),
        reason: args.reason.clone(),
    });
    let response = service
        .client
        .cancel_offboarding(request)
        .await?
        .into_inner();
    if screen.json && !args.wait {
        screen.json("CancelOffboardingResponse", &response)?;
        return Ok(Exit::Ok);
    }
    if !screen.json {
        for sentence in &response.irreversible {
            screen.print(&format!(
                "{}\n",
                screen.paint(Tone::Warn, &format!("Cannot be undone: {sentence}"))
            ))?;
        }
    }
    if args.wait {
        let exit = wait(service, &args.offboarding, 0, screen).await?;
        // CANCELLED is what was asked for here.
        return Ok(match exit {
            Exit::NotRemoved => Exit::Ok,
            other => other,
        });
    }
    let offboarding = response.offboarding.ok_or_else(|| empty("offboarding"))?;
    screen.print(&show::offboarding::text(&offboarding, screen))?;
    if !words::is_final(offboarding.state()) {
        screen.print(&format!(
            "\nIt puts back what it changed. Follow it with: relationship-service watch {}\n",
            offboarding.offboarding_id
        ))?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn link(
    mut service: Service,
    args: LinkArgs,
    screen: Screen,
) -> Result<Exit, Failure> {
    let request = service.request(proto::GetRelationshipRequestLinkRequest {
        partner: args.partner.unwrap_or_default(),
    });
    let response = service
        .client
        .get_relationship_request_link(request)
        .await?
        .into_inner();
    if screen.json {
        screen.json("GetRelationshipRequestLinkResponse", &response)?;
    } else {
        screen.print(&format!("{}\n", response.url))?;
    }
    Ok(Exit::Ok)
}

fn empty(what: &str) -> Failure {
    Failure::Other(format!("the service answered without {what}"))
}
