//! Scenarios made from a seed: many ordinary customers, and the one customer of the demonstration.

use uuid::Uuid;

use super::scenario::{
    AzureSubscriptionSpec, Behaviour, CustomerSpec, PartnerModel, PartnerSpec, ReservationSpec,
    Scenario, SoftwareSpec, SubscriptionKind, SubscriptionSpec, SubscriptionStatus,
};

/// Namespace of every id made from a seed.
const NAMESPACE: Uuid = Uuid::from_u128(0x5e1e_c7ed_0000_4000_8000_0000_5eed_5eed);

/// The id that `path` gets under `seed`; the same always and everywhere.
pub(super) fn id(seed: u64, path: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{seed}/{path}").as_bytes())
}

/// A number in `0..below` that depends on nothing but its arguments.
pub(super) fn number(seed: u64, path: &str, below: u64) -> u64 {
    let bytes = id(seed, path).into_bytes();
    let mut head = [0_u8; 8];
    head.copy_from_slice(&bytes[8..]);
    u64::from_le_bytes(head) % below.max(1)
}

const FIRST: [&str; 16] = [
    "Alder",
    "Birch",
    "Cedar",
    "Dune",
    "Ember",
    "Fjord",
    "Granite",
    "Harbour",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Lumen",
    "Meadow",
    "Northwind",
    "Orchard",
    "Pebble",
];
const SECOND: [&str; 12] = [
    "Bakery",
    "Clinics",
    "Design",
    "Engineering",
    "Foods",
    "Galleries",
    "Hotels",
    "Insurance",
    "Joinery",
    "Logistics",
    "Publishing",
    "Textiles",
];
const PRODUCTS: [&str; 6] = [
    "Business Mail",
    "Office Suite",
    "Team Calls",
    "Device Management",
    "Document Store",
    "Customer Records",
];

fn partner(seed: u64, index: usize) -> PartnerSpec {
    PartnerSpec {
        tenant_id: id(seed, &format!("partner/{index}")),
        name: "Simulated Reseller".to_owned(),
        model: PartnerModel::Direct,
        mpn_id: "4391507".to_owned(),
        client_id: id(seed, &format!("partner/{index}/client")),
        client_secret: Some(format!("simulated-secret-{seed}-{index}")),
        client_assertion_public_key: None,
        refresh_token: format!("simulated-refresh-token-{seed}-{index}"),
        user_principal_name: "offboarding@partner.example".to_owned(),
        relationships: Vec::new(),
        customers: Vec::new(),
    }
}

fn subscription(kind: SubscriptionKind, name: &str) -> SubscriptionSpec {
    SubscriptionSpec {
        name: Some(name.to_owned()),
        ..SubscriptionSpec::new(kind)
    }
}

impl Scenario {
    /// One direct-bill partner with `customers` customers that have `subscriptions_per_customer`
    /// active legacy subscriptions each and nothing else, so that suspending clears all of them.
    /// Every fourth customer's last subscription is an add-on of its first.
    #[must_use]
    pub fn seeded(customers: usize, subscriptions_per_customer: usize, seed: u64) -> Self {
        let mut partner = partner(seed, 0);
        partner.customers = (0..customers)
            .map(|c| {
                let path = format!("partner/0/customer/{c}");
                let name = format!(
                    "{} {} {}",
                    FIRST[number(seed, &format!("{path}/first"), 16) as usize],
                    SECOND[number(seed, &format!("{path}/second"), 12) as usize],
                    c + 1
                );
                let parent = id(seed, &format!("{path}/subscription/0"))
                    .to_string()
                    .to_uppercase();
                let subscriptions = (0..subscriptions_per_customer)
                    .map(|s| {
                        let addon = c % 4 == 0 && s > 0 && s + 1 == subscriptions_per_customer;
                        let place = format!("{path}/subscription/{s}");
                        SubscriptionSpec {
                            id: Some(id(seed, &place).to_string().to_uppercase()),
                            quantity: 1 + number(seed, &format!("{place}/seats"), 50) as u32,
                            parent: addon.then(|| parent.clone()),
                            ..subscription(
                                if addon {
                                    SubscriptionKind::LegacyAddon
                                } else {
                                    SubscriptionKind::LegacyLicense
                                },
                                PRODUCTS[number(seed, &format!("{place}/product"), 6) as usize],
                            )
                        }
                    })
                    .collect();
                customer(id(seed, &path), &name, subscriptions)
            })
            .collect();
        Self {
            seed,
            behaviour: Behaviour::default(),
            partners: vec![partner],
        }
    }

    /// The customer of the demonstration: three legacy licences, one with an add-on, and a trial;
    /// a new-commerce licence inside its cancellation window; a reservation; a software purchase.
    #[must_use]
    pub fn demo() -> Self {
        let seed = 2;
        let mut scenario = Self::seeded(0, 0, seed);
        let mail = id(seed, "demo/mail").to_string().to_uppercase();
        let mut customer = customer(
            id(seed, "demo/customer"),
            "Harbour Logistics",
            vec![
                SubscriptionSpec {
                    id: Some(mail.clone()),
                    quantity: 40,
                    ..subscription(SubscriptionKind::LegacyLicense, "Business Mail")
                },
                SubscriptionSpec {
                    parent: Some(mail),
                    quantity: 40,
                    ..subscription(SubscriptionKind::LegacyAddon, "Business Mail Archive")
                },
                SubscriptionSpec {
                    quantity: 25,
                    ..subscription(SubscriptionKind::LegacyLicense, "Office Suite")
                },
                SubscriptionSpec {
                    quantity: 10,
                    ..subscription(SubscriptionKind::LegacyLicense, "Device Management")
                },
                SubscriptionSpec {
                    quantity: 5,
                    term_end: Some("+P20D".into()),
                    ..subscription(SubscriptionKind::LegacyTrial, "Customer Records Trial")
                },
                SubscriptionSpec {
                    quantity: 12,
                    start: Some("-P3D".into()),
                    term_end: Some("+P362D".into()),
                    cancel_until: Some("+P4D".into()),
                    ..subscription(SubscriptionKind::NewCommerce, "Team Calls")
                },
            ],
        );
        customer.reservations.push(ReservationSpec {
            id: None,
            name: "Two small virtual machines, three years".to_owned(),
            quantity: 2,
            expires: "+P400D".into(),
            cancelled: false,
            reservation_type: "virtualmachines".to_owned(),
            order_id: None,
        });
        customer.software.push(SoftwareSpec {
            name: "Database Server, two cores".to_owned(),
            product_id: None,
            quantity: 1,
            expires: None,
            cancel_until: Some("+P20D".into()),
            included: Vec::new(),
            order_id: None,
        });
        scenario.partners[0].customers.push(customer);
        scenario
    }

    /// One customer with one subscription of every kind, an expired and a cancelled one, for
    /// clients that want to see each shape once.
    #[must_use]
    pub fn every_kind(seed: u64) -> Self {
        use SubscriptionKind as Kind;
        let mut scenario = Self::demo();
        scenario.seed = seed;
        let customer = &mut scenario.partners[0].customers[0];
        let now_window = || Some("+P4D".into());
        customer.subscriptions.extend([
            subscription(Kind::LegacyAzure, "Legacy Azure"),
            SubscriptionSpec {
                start: Some("-P3D".into()),
                term_end: Some("+P27D".into()),
                ..subscription(Kind::NewCommerceTrial, "Team Calls Trial")
            },
            SubscriptionSpec {
                start: Some("-P3D".into()),
                cancel_until: now_window(),
                ..subscription(Kind::SoftwareSubscription, "Database Server Subscription")
            },
            SubscriptionSpec {
                azure_subscriptions: vec![AzureSubscriptionSpec {
                    id: None,
                    name: "Production".to_owned(),
                    active: true,
                }],
                ..subscription(Kind::AzurePlan, "Azure plan")
            },
            subscription(Kind::SavingsPlan, "Compute savings plan"),
            SubscriptionSpec {
                start: Some("-P3D".into()),
                cancel_until: now_window(),
                ..subscription(Kind::Marketplace, "Firewall as a Service")
            },
            SubscriptionSpec {
                status: SubscriptionStatus::Expired,
                start: Some("-P380D".into()),
                term_end: Some("-P15D".into()),
                ..subscription(Kind::NewCommerce, "Old Team Calls")
            },
            SubscriptionSpec {
                status: SubscriptionStatus::Deleted,
                ..subscription(Kind::LegacyLicense, "Old Office Suite")
            },
        ]);
        scenario
    }
}

fn customer(id: Uuid, name: &str, subscriptions: Vec<SubscriptionSpec>) -> CustomerSpec {
    let domain: String = name
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    CustomerSpec {
        id,
        name: name.to_owned(),
        domain: format!("{domain}.onmicrosoft.com"),
        relationship: "reseller".to_owned(),
        allow_delegated_access: false,
        under_review: false,
        locked: false,
        indirect_resellers: Vec::new(),
        subscriptions,
        reservations: Vec::new(),
        software: Vec::new(),
        transfers: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_seed_means_the_same_world_every_time() {
        let json = |seed| serde_json::to_string(&Scenario::seeded(5, 4, seed)).unwrap();
        assert_eq!(json(7), json(7));
        assert_ne!(json(7), json(8));
    }

    #[test]
    fn a_scenario_survives_its_own_json() {
        let text = serde_json::to_string(&Scenario::every_kind(3)).unwrap();
        let again: Scenario = serde_json::from_str(&text).unwrap();
        assert_eq!(text, serde_json::to_string(&again).unwrap());
    }
}
