//! Customers: one, the whole list, the list by name, the removal, the link to come back.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::body::{self, Body};
use super::classify::Addressee;
use super::fields::{Fields, Read};
use super::request::{Api, Changed, Target};
use crate::application::upstream::{Call, NotChanged, SendGate, Sighting};
use crate::domain::failure::{FailureClass, UpstreamFailure};
use crate::domain::ids::CustomerId;
use crate::domain::snapshot::{Customer, Standing};
use crate::http::TokenUse;

/// Customers per page.
const PAGE: &str = "500";
/// Pages after which a list is taken for endless: five million customers.
const MOST_PAGES: usize = 10_000;

fn one<'a>(customer: CustomerId, token: TokenUse, call: &'a Call) -> Target<'a> {
    Target {
        endpoint: "GET /v1/customers/{customer}",
        addressee: Addressee::Customer,
        customer: Some(customer),
        token,
        call,
    }
}

/// `GET /v1/customers/{customer}`.
async fn read(
    api: &Api,
    customer: CustomerId,
    token: TokenUse,
    call: &Call,
) -> Result<Customer, UpstreamFailure> {
    let target = one(customer, token, call);
    let url = api.url(&["customers", &customer.to_string()]);
    let body = api.get(&target, url).await?;
    let fields = Fields::of(&body).map_err(api.shape(&target))?;
    // Somebody else's body proves nothing about this customer.
    match fields.word("id").map_err(api.shape(&target))? {
        Some(id) if !id.eq_ignore_ascii_case(&customer.to_string()) => {
            Err(api.nonsense(&target, format!("id: asked for {customer}, got {id:.80}")))
        }
        _ => decode(&fields).map_err(api.shape(&target)),
    }
}

/// A customer's body.
pub(super) fn decode(fields: &Fields<'_>) -> Read<Customer> {
    let company = fields.object("companyProfile")?;
    let of_company = |name: &str| match &company {
        Some(company) => company.word(name),
        None => Ok(None),
    };
    Ok(Customer {
        name: of_company("companyName")?.unwrap_or_default(),
        domain: of_company("domain")?.unwrap_or_default(),
        relationship: match fields.word("relationshipToPartner")? {
            Some(relationship) => relationship,
            // Left out is no reason to doubt, if this is a customer's body at all.
            None => fields.required("id").map(|_| String::new())?,
        },
        delegated_admin: fields.flag("allowDelegatedAccess")?,
    })
}

/// Whether upstream relates the customer to the partner.
pub(super) async fn standing(
    api: &Api,
    customer: CustomerId,
    call: &Call,
) -> Result<Standing, UpstreamFailure> {
    match read(api, customer, TokenUse::Current, call).await {
        Ok(found) => Ok(Standing::Related(found)),
        Err(failure) if failure.class == FailureClass::NotRelated => {
            Ok(Standing::NotRelated(failure))
        }
        Err(failure) => Err(failure),
    }
}

/// Whether reading the customer shows it.
pub(super) async fn sight(
    api: &Api,
    customer: CustomerId,
    token: TokenUse,
    call: &Call,
) -> Result<Sighting, UpstreamFailure> {
    match read(api, customer, token, call).await {
        Ok(found) => Ok(Sighting::Present {
            relationship: found.relationship,
        }),
        Err(failure) if failure.class == FailureClass::NotRelated => Ok(Sighting::Gone(failure)),
        Err(failure) => Err(failure),
    }
}

/// Whether the customer list holds the customer. A filtered look that finds it settles the matter;
/// one that does not settles nothing, and the whole list is walked.
pub(super) async fn listed(
    api: &Api,
    customer: CustomerId,
    name: &str,
    token: TokenUse,
    call: &Call,
) -> Result<bool, UpstreamFailure> {
    let target = Target {
        endpoint: "GET /v1/customers",
        addressee: Addressee::Partner,
        customer: None,
        token,
        call,
    };
    if !name.trim().is_empty() {
        let mut url = api.url(&["customers"]);
        let filter =
            json!({"Field": "CompanyName", "Value": name.trim(), "Operator": "starts_with"});
        url.query_pairs_mut()
            .append_pair("size", PAGE)
            .append_pair("filter", &filter.to_string());
        // One page, and no matter how it fails: the walk below decides.
        if let Ok(page) = api.get(&target, url).await
            && holds(&page, customer).unwrap_or(false)
        {
            return Ok(true);
        }
    }
    let mut url = api.url(&["customers"]);
    url.query_pairs_mut().append_pair("size", PAGE);
    let mut found = false;
    walk(api, &target, url, |page| {
        found |= holds(page, customer)?;
        Ok(found)
    })
    .await?;
    Ok(found)
}

/// Whether a page of the customer list holds the customer. An item without an id could be anybody.
fn holds(page: &Value, customer: CustomerId) -> Read<bool> {
    let customer = customer.to_string();
    let mut found = false;
    for item in Fields::of(page)?.items()? {
        found |= item.required("id")?.eq_ignore_ascii_case(&customer);
    }
    Ok(found)
}

/// Walks a list with seek paging until `visit` says enough or there is no further page.
///
/// Documented by Microsoft: the next page is the same URL with `seekOperation=Next` and the token of
/// this page as `MS-ContinuationToken`. `totalCount` is not looked at.
pub(super) async fn walk(
    api: &Api,
    target: &Target<'_>,
    first: Url,
    mut visit: impl FnMut(&Value) -> Read<bool>,
) -> Result<(), UpstreamFailure> {
    let mut url = first.clone();
    let mut headers = HeaderMap::new();
    let mut seen: std::collections::HashSet<String> = std::collections::HashSet::new();
    for _ in 0..MOST_PAGES {
        let page = api.get_with(target, url.clone(), headers.clone()).await?;
        if visit(&page).map_err(api.shape(target))? {
            return Ok(());
        }
        let next = next_page(&page).map_err(api.shape(target))?;
        let (token, link) = match next {
            Next::None => return Ok(()),
            Next::Token(token) => (Some(token), None),
            Next::Link(link) => (None, Some(link)),
        };
        let place = token.clone().or_else(|| link.clone()).unwrap_or_default();
        if !seen.insert(place) {
            let empty = Fields::of(&page)
                .and_then(|page| page.items())
                .is_ok_and(|items| items.is_empty());
            if empty {
                return Ok(());
            }
            return Err(api.nonsense(target, "the pages of the list go round in a circle"));
        }
        headers.clear();
        match (token, link) {
            (Some(token), _) => {
                url = first.clone();
                url.query_pairs_mut().append_pair("seekOperation", "Next");
                let token = HeaderValue::from_str(&token)
                    .map_err(|_| api.nonsense(target, "continuationToken: fits in no header"))?;
                headers.insert("ms-continuationtoken", token);
            }
            (None, Some(link)) => {
                url = api.follow(&link).map_err(|why| api.nonsense(target, why))?
            }
            (None, None) => return Ok(()),
        }
    }
    Err(api.nonsense(target, format!("the list has more than {MOST_PAGES} pages")))
}

enum Next {
    None,
    Token(String),
    Link(String),
}

fn next_page(page: &Value) -> Read<Next> {
    let fields = Fields::of(page)?;
    let link = match fields.object("links")? {
        Some(links) => links.object("next")?,
        None => None,
    };
    let mut token = fields.word("continuationToken")?;
    if token.is_none()
        && let Some(link) = &link
    {
        for header in link.list("headers")? {
            let name = header.word("key")?.unwrap_or_default();
            if name.eq_ignore_ascii_case("MS-ContinuationToken") {
                token = header.word("value")?;
            }
        }
    }
    Ok(match (token, link) {
        (Some(token), _) => Next::Token(token),
        (None, Some(link)) => Next::Link(link.required("uri")?),
        (None, None) => Next::None,
    })
}

/// `PATCH /v1/customers/{customer}`: the removal of the relationship. The same path removes delegated
/// admin, so that the body holds these two members and nothing else.
pub(super) async fn remove_relationship(
    api: &Api,
    customer: CustomerId,
    call: &Call,
    gate: Arc<dyn SendGate>,
) -> Result<(), NotChanged> {
    let target = Target {
        endpoint: "PATCH /v1/customers/{customer}",
        addressee: Addressee::Customer,
        customer: Some(customer),
        token: TokenUse::AppUser,
        call,
    };
    let url = api.url(&["customers", &customer.to_string()]);
    let body = json!({"relationshipToPartner": "none", "attributes": {"objectType": "Customer"}});
    let answer = match api.patch(&target, url, &body, None, gate).await {
        Changed::Answer(answer) => answer,
        Changed::NotSent(failure) => return Err(NotChanged::NotSent(failure.to_string())),
        Changed::Failed(failure) => return Err(NotChanged::Failed(failure)),
    };
    let failed =
        |why: String| NotChanged::Failed(api.about(&target, &answer, FailureClass::Nonsense, why));
    match body::read(&answer) {
        Body::Empty => Ok(()),
        Body::Nonsense(why) => Err(failed(why)),
        Body::Json(body) => {
            let relationship = Fields::of(&body)
                .and_then(|fields| fields.word("relationshipToPartner"))
                .map_err(|wrong| failed(format!("unexpected answer: {wrong}")))?;
            match relationship {
                Some(other) if !other.eq_ignore_ascii_case("none") => Err(failed(format!(
                    "the removal was answered with relationshipToPartner {other:.80}"
                ))),
                _ => Ok(()),
            }
        }
    }
}

/// `GET /v1/customers/relationshiprequests`: the link by which a customer comes back, verbatim.
pub(super) async fn relationship_request_link(
    api: &Api,
    call: &Call,
) -> Result<String, UpstreamFailure> {
    let target = Target {
        endpoint: "GET /v1/customers/relationshiprequests",
        addressee: Addressee::Partner,
        customer: None,
        token: TokenUse::AppUser,
        call,
    };
    let body = api
        .get(&target, api.url(&["customers", "relationshiprequests"]))
        .await?;
    Fields::of(&body)
        .and_then(|fields| fields.required("url"))
        .map_err(api.shape(&target))
}
