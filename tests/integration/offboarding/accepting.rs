//! Accepting: the order of checks, and what is remembered.

use relationship_service::application::error::{Earlier, Error};
use relationship_service::domain::blocker::{Blocker, Reason};
use relationship_service::domain::failure::FailureClass;
use relationship_service::domain::ids::{CustomerId, RequestId};
use relationship_service::domain::offboarding::State;
use relationship_service::domain::policy::Policy;
use relationship_service::simulator::{Fault, PartnerModel, PartnerRelationshipSpec, Scenario};
use uuid::Uuid;

use super::world;
use crate::harness::{SUSPEND, World, caller, removal};

#[tokio::test(flavor = "multi_thread")]
async fn blockers_that_the_policy_does_not_clear_are_refused_all_at_once() {
    let world = World::new(Scenario::every_kind(3)).await;
    let service = world.engine.service();
    let preview = service
        .preview(&caller(), "", world.customer(0), Policy::default())
        .await
        .unwrap();
    let refused = world.remove(world.customer(0), Policy::default()).await;
    let Err(Error::Blocked(blockers)) = refused else {
        panic!("{refused:?}")
    };
    let keys = |blockers: &[Blocker]| blockers.iter().map(Blocker::key).collect::<Vec<_>>();
    assert_eq!(keys(&blockers), keys(&preview.plan.blockers));
    for reason in [
        Reason::AzureReservationActive,
        Reason::SavingsPlanActive,
        Reason::SoftwarePurchaseActive,
        Reason::SubscriptionActive,
        Reason::NewCommerceNotCancelled,
        Reason::TrialActive,
        Reason::AzurePlanActive,
        Reason::AzureSubscriptionActive,
        Reason::MarketplaceSubscriptionActive,
    ] {
        assert!(
            blockers.iter().any(|b| b.reason == reason),
            "{reason} is missing: {blockers:#?}"
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_is_not_remembered_and_may_succeed_later() {
    let world = world(2).await;
    let mut request = removal(world.customer(0), Policy::default());
    let service = world.engine.service();
    assert!(matches!(
        service.remove(&caller(), request.clone()).await,
        Err(Error::Blocked(_))
    ));
    request.validate_only = true;
    request.terms.policy = SUSPEND;
    let checked = service.remove(&caller(), request.clone()).await.unwrap();
    assert!(
        checked.offboarding.id.0.is_nil(),
        "validate_only stores nothing"
    );
    request.validate_only = false;
    let accepted = service.remove(&caller(), request.clone()).await.unwrap();
    // The same request again is the same offboarding; another one with its id is refused.
    let again = service.remove(&caller(), request.clone()).await.unwrap();
    assert_eq!(accepted.offboarding.id, again.offboarding.id);
    request.terms.reason = "something else".to_owned();
    let reused = service.remove(&caller(), request).await;
    assert!(
        matches!(reused, Err(Error::RequestIdReused { .. })),
        "{reused:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_duplicates_all_get_the_winner_and_another_request_is_turned_away() {
    let world = world(2).await;
    let request = removal(world.customer(0), SUSPEND);
    let service = world.engine.service();
    let calls = (0..8).map(|_| service.remove(&CALLER, request.clone()));
    static CALLER: std::sync::LazyLock<relationship_service::application::service::Caller> =
        std::sync::LazyLock::new(caller);
    let ids: std::collections::BTreeSet<_> = futures::future::join_all(calls)
        .await
        .into_iter()
        .map(|accepted| accepted.unwrap().offboarding.id)
        .collect();
    assert_eq!(ids.len(), 1);
    let other = world.remove(world.customer(0), SUSPEND).await;
    let Err(Error::OffboardingInProgress { existing }) = other else {
        panic!("{other:?}")
    };
    assert!(ids.contains(&existing));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_the_caller_did_not_agree_to_is_refused() {
    let world = world(2).await;
    let mut request = removal(world.customer(0), SUSPEND);
    request.terms.plan_hash = Some("00".repeat(32).parse().unwrap());
    let refused = world.engine.service().remove(&caller(), request).await;
    assert!(
        matches!(refused, Err(Error::PlanChanged { .. })),
        "{refused:?}"
    );
    world.stop().await;
}

/// What a preview says of the past of somebody who is no customer.
async fn earlier(world: &World, customer: CustomerId) -> Earlier {
    let service = world.engine.service();
    match service.preview(&caller(), "", customer, SUSPEND).await {
        Err(Error::CustomerNotRelated { earlier, .. }) => earlier,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_who_is_gone_does_not_doubt_the_id() {
    let world = world(1).await;
    let customer = world.customer(0);
    let accepted = world.remove(customer, SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_eq!(ended.offboarding.state, State::Succeeded);
    assert_eq!(earlier(&world, customer).await, Earlier::Removed);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_customer_is_refused_and_nothing_is_read_for_the_own_tenant() {
    let world = world(1).await;
    let stranger = CustomerId(Uuid::from_u128(0xdead_beef));
    let refused = world.remove(stranger, SUSPEND).await;
    assert!(
        matches!(refused, Err(Error::CustomerNotRelated { .. })),
        "{refused:?}"
    );
    assert_eq!(earlier(&world, stranger).await, Earlier::Nothing);
    let own = CustomerId(world.partner.tenant_id);
    let refused = world.remove(own, SUSPEND).await;
    assert!(matches!(refused, Err(Error::OwnTenant)), "{refused:?}");
    let mut elsewhere = removal(world.customer(0), SUSPEND);
    elsewhere.partner = "nobody".to_owned();
    let refused = world.engine.service().remove(&caller(), elsewhere).await;
    assert!(
        matches!(refused, Err(Error::UnknownPartner { .. })),
        "{refused:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_lies_or_is_away_is_said_so_and_nothing_is_stored() {
    let world = world(1).await;
    let customer = format!("/v1/customers/{}", world.customer(0));
    for (fault, class) in [
        (Fault::Html, FailureClass::Nonsense),
        (Fault::CutBody, FailureClass::Nonsense),
        (Fault::WrongContentLength, FailureClass::Nonsense),
        (Fault::ResetBefore, FailureClass::Unavailable),
        (
            Fault::Redirect {
                location: "http://192.0.2.1/".to_owned(),
            },
            FailureClass::Nonsense,
        ),
        (Fault::MfaRefused, FailureClass::MfaRequired),
        (
            Fault::Throttle {
                retry_after_seconds: 60,
            },
            FailureClass::Throttled,
        ),
    ] {
        world.fault("GET", &customer, None, fault.clone());
        let mut caller = caller();
        caller.deadline = Some(std::time::Instant::now() + std::time::Duration::from_secs(20));
        let mut request = removal(world.customer(0), SUSPEND);
        request.request_id = RequestId(Uuid::from_u128(5));
        let refused = world.engine.service().remove(&caller, request).await;
        let Err(Error::Upstream(failure)) = &refused else {
            panic!("{fault:?}: {refused:?}")
        };
        assert_eq!(failure.class, class, "{fault:?}: {failure:?}");
        world.simulator.control().clear_faults();
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indirect_reseller_may_not_remove() {
    let mut scenario = Scenario::seeded(1, 1, 1);
    scenario.partners[0].model = PartnerModel::IndirectReseller;
    scenario.partners[0].relationships = vec![PartnerRelationshipSpec {
        id: Uuid::from_u128(77),
        name: "The provider".to_owned(),
        relationship_type: "is_indirect_reseller_of".to_owned(),
        mpn_id: "1".to_owned(),
    }];
    let world = World::new(scenario).await;
    let refused = world.remove(world.customer(0), SUSPEND).await;
    let Err(Error::Blocked(blockers)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        blockers.iter().map(|b| b.reason).collect::<Vec<_>>(),
        [Reason::IndirectReseller]
    );
    world.stop().await;
}
