//! The one table that says what a refusal of Partner Center means.
//!
//! Documented by Microsoft: the same code comes with several statuses and meanings, so status *and*
//! code decide; where neither is enough, the text does, and only where real answers show it.

use crate::domain::failure::FailureClass;

/// To what a call was addressed: "gone" means the relationship only where a customer was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee {
    /// Nothing of any customer (lists, audit, links).
    Partner,
    /// The customer itself.
    Customer,
    /// Something below a customer.
    BelowCustomer,
}

/// What the table looks at.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// To what the call was addressed.
    pub addressee: Addressee,
    /// HTTP status.
    pub status: u16,
    /// `code` of the body as text; `None` when there is none.
    pub code: Option<&'a str>,
    /// Text of the body, empty when there is none.
    pub text: &'a str,
    /// `WWW-Authenticate`, empty when there is none.
    pub challenge: &'a str,
    /// Whether the body was empty.
    pub empty: bool,
    /// Whether the body was neither empty nor JSON.
    pub no_json: bool,
}

/// The table.
///
/// "Gone" pairs and codes: documented by Microsoft (error codes), 3000 with its text seen in real
/// answers. That 409s about renewals and pending work pass: documented for their day, no code given.
pub fn classify(refusal: &Refusal<'_>) -> FailureClass {
    use Addressee as A;
    use FailureClass as F;
    let customer_named = refusal.addressee != A::Partner;
    let text = refusal.text.to_ascii_lowercase();
    let says = |part: &str| text.contains(part);
    match (refusal.status, refusal.code) {
        // Who we are.
        (401, Some("900421")) => F::MfaRequired,
        (401, _) if mfa(&text) || mfa(&refusal.challenge.to_ascii_lowercase()) => F::MfaRequired,
        (401, _) => F::Credentials,
        (403, Some("2032" | "900150" | "900308" | "900309" | "900329")) => F::Forbidden,
        (400 | 403, Some("1002")) => F::Forbidden,

        // The relationship is gone.
        (403, Some("20002" | "900159")) if customer_named => F::NotRelated,
        (404, Some("1000" | "60003")) if customer_named => F::NotRelated,
        (404, None) if refusal.addressee == A::Customer && refusal.empty => F::NotRelated,
        (400 | 404, Some("3000"))
            if customer_named && says("relationship") && says("does not exist") =>
        {
            F::NotRelated
        }

        // The customer's standing with Microsoft.
        (400..=499, Some("800073" | "800074" | "800075")) => F::CustomerUnderReview,
        (400..=499, Some("900416")) => F::CustomerLocked,

        // The resource.
        (400, Some("2055")) | (412, _) => F::StaleEtag,
        (404, Some("20003" | "20000" | "800111" | "900100")) => F::ResourceNotFound,
        (404, _) if refusal.addressee == A::BelowCustomer && !refusal.no_json => {
            F::ResourceNotFound
        }
        (409, Some("800082" | "900278" | "800060" | "800014")) => F::Pending,
        (409, code) if code != Some("27009") && (says("renew") || says("try again")) => F::Pending,

        // The way there.
        (429, _) => F::Throttled,
        (408 | 500..=599, _) => F::Unavailable,
        (300..=399, _) => F::Nonsense,
        _ if refusal.no_json => F::Nonsense,
        (403, None) => F::Forbidden,
        _ => F::Refused,
    }
}

fn mfa(lower_case: &str) -> bool {
    ["mfa", "multi-factor", "multifactor"]
        .iter()
        .any(|word| lower_case.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Addressee::{BelowCustomer, Customer, Partner};
    use FailureClass as F;

    fn class(addressee: Addressee, status: u16, code: Option<&str>, text: &str) -> FailureClass {
        classify(&Refusal {
            addressee,
            status,
            code,
            text,
            challenge: "",
            empty: code.is_none() && text.is_empty(),
            no_json: false,
        })
    }

    #[test]
    fn every_row_of_the_table() {
        for (addressee, status, code, text, wanted) in [
            (
                Customer,
                403,
                Some("20002"),
                "No relationship",
                F::NotRelated,
            ),
            (Customer, 403, Some("900159"), "", F::NotRelated),
            (Customer, 404, Some("1000"), "", F::NotRelated),
            (Customer, 404, Some("60003"), "", F::NotRelated),
            (Customer, 404, None, "", F::NotRelated),
            (BelowCustomer, 403, Some("20002"), "", F::NotRelated),
            (BelowCustomer, 404, Some("1000"), "", F::NotRelated),
            (
                Customer,
                400,
                Some("3000"),
                "The relationship between the partner and customer does not exist",
                F::NotRelated,
            ),
            (BelowCustomer, 404, None, "", F::ResourceNotFound),
            (BelowCustomer, 404, Some("20003"), "", F::ResourceNotFound),
            (BelowCustomer, 404, Some("900100"), "", F::ResourceNotFound),
            (Customer, 401, None, "", F::Credentials),
            (Customer, 401, Some("900420"), "", F::Credentials),
            (Customer, 401, Some("20002"), "", F::Credentials),
            (Customer, 401, Some("900421"), "", F::MfaRequired),
            (
                Customer,
                401,
                None,
                "Unauthorized - MFA required",
                F::MfaRequired,
            ),
            (Customer, 403, Some("2032"), "", F::Forbidden),
            (Customer, 403, Some("900150"), "", F::Forbidden),
            (Customer, 403, Some("900308"), "", F::Forbidden),
            (Customer, 403, Some("900309"), "", F::Forbidden),
            (Customer, 403, Some("900329"), "", F::Forbidden),
            (Customer, 403, Some("1002"), "", F::Forbidden),
            (Customer, 403, None, "", F::Forbidden),
            (Customer, 403, Some("800073"), "", F::CustomerUnderReview),
            (Customer, 403, Some("800074"), "", F::CustomerUnderReview),
            (Customer, 403, Some("800075"), "", F::CustomerUnderReview),
            (Customer, 403, Some("900416"), "", F::CustomerLocked),
            (BelowCustomer, 400, Some("2055"), "", F::StaleEtag),
            (BelowCustomer, 409, Some("800082"), "", F::Pending),
            (BelowCustomer, 409, Some("900278"), "", F::Pending),
            (BelowCustomer, 409, Some("800060"), "", F::Pending),
            (
                BelowCustomer,
                409,
                Some("1"),
                "Renewal is in progress",
                F::Pending,
            ),
            (BelowCustomer, 409, Some("27009"), "try again", F::Refused),
            (
                Partner,
                429,
                Some("429"),
                "Rate limit is exceeded.",
                F::Throttled,
            ),
            (Partner, 500, Some("800003"), "", F::Unavailable),
            (Partner, 502, None, "", F::Unavailable),
            (Partner, 503, None, "", F::Unavailable),
            (Partner, 504, None, "", F::Unavailable),
            (Partner, 408, None, "", F::Unavailable),
            (Partner, 302, None, "", F::Nonsense),
            (BelowCustomer, 400, Some("900117"), "", F::Refused),
            (BelowCustomer, 403, Some("900115"), "", F::Refused),
            (BelowCustomer, 403, Some("800019"), "", F::Refused),
            (Customer, 400, Some("2007"), "", F::Refused),
        ] {
            assert_eq!(
                class(addressee, status, code, text),
                wanted,
                "{addressee:?} {status}/{code:?} {text}"
            );
        }
    }

    #[test]
    fn gone_means_the_relationship_only_where_a_customer_was_named() {
        for (status, code) in [
            (403, "20002"),
            (403, "900159"),
            (404, "1000"),
            (404, "60003"),
        ] {
            assert_ne!(class(Partner, status, Some(code), ""), F::NotRelated);
        }
        assert_eq!(
            class(Partner, 404, Some("3000"), "could not be found"),
            F::Refused
        );
        assert_eq!(
            class(Customer, 404, Some("3000"), "could not be found"),
            F::Refused
        );
        assert_eq!(class(Customer, 404, Some("7"), ""), F::Refused);
    }

    #[test]
    fn the_mfa_challenge_may_stand_in_the_header_alone() {
        let refusal = Refusal {
            addressee: Customer,
            status: 401,
            code: None,
            text: "",
            challenge: "Bearer error=\"invalid_token\", error_description=\"MFA required\"",
            empty: true,
            no_json: false,
        };
        assert_eq!(classify(&refusal), F::MfaRequired);
    }

    #[test]
    fn a_page_of_a_proxy_says_nothing_about_the_customer() {
        for status in [400, 403, 404] {
            for addressee in [Customer, BelowCustomer] {
                let refusal = Refusal {
                    addressee,
                    status,
                    code: None,
                    text: "",
                    challenge: "",
                    empty: false,
                    no_json: true,
                };
                assert_eq!(classify(&refusal), F::Nonsense, "{addressee:?} {status}");
            }
        }
    }
}
