//! Configuration: everything is validated as a whole, and every problem is told at once.

use std::path::PathBuf;
use std::time::Duration;

use relationship_service::config::{Config, DatabaseUrl, FlagValue, Problem, Sources};
use relationship_service::http::{ClientProof, Grant, SecretSource};
use relationship_service::partner_center::Cloud;

const TENANT: &str = "b5ad2d3b-9cbf-4d6f-8c21-0c4e9a4d1f10";

/// A partner that is right, with its secrets from the environment.
fn partner() -> String {
    format!("[partners.contoso]\ntenant = \"{TENANT}\"\nclient_id = \"app\"\n")
}

fn secrets() -> Vec<(String, String)> {
    [
        ("RELATIONSHIP_PARTNERS__CONTOSO__GRANT", "refresh_token"),
        ("RELATIONSHIP_PARTNERS__CONTOSO__CLIENT_SECRET", "s3cret"),
        ("RELATIONSHIP_PARTNERS__CONTOSO__REFRESH_TOKEN", "t0ken"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

struct Given {
    sources: Sources,
    _folder: tempfile::TempDir,
}

fn given(file: &str, environment: &[(&str, &str)]) -> Given {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    Given {
        sources: Sources {
            file: Some(path),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            flags: Vec::new(),
        },
        _folder: folder,
    }
}

/// Puts top-level lines before a right partner and lines of the partner after it.
fn with_partner(top: &str, of_partner: &str) -> Given {
    let mut given = given(&format!("{top}\n{}{of_partner}\n", partner()), &[]);
    given.sources.environment = secrets();
    given
}

fn problems(given: &Given) -> Vec<Problem> {
    match Config::load(&given.sources) {
        Ok(config) => panic!("no problem was found: {config:?}"),
        Err(problems) => problems.0,
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = Config::load(&with_partner("", "").sources).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
    assert_eq!(
        config.database,
        DatabaseUrl::Sqlite(PathBuf::from("relationship.db"))
    );
    assert_eq!(
        config.timing,
        relationship_service::domain::step::Timing::default()
    );
    let [partner] = &config.partners[..] else {
        panic!("{:?}", config.partners)
    };
    assert_eq!(partner.alias.as_str(), "contoso");
    assert_eq!(partner.settings.cloud, Cloud::Public);
    assert_eq!(partner.settings.limits.per_minute, 500);
    assert!(partner.business_clock.is_none());
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let mut given = with_partner("listen = \"127.0.0.1:1\"\ndatabase = \"file.db\"", "");
    let listen = |given: &Given| Config::load(&given.sources).unwrap().listen.port();
    assert_eq!(listen(&given), 1);
    given
        .sources
        .environment
        .push(("RELATIONSHIP_LISTEN".to_owned(), "127.0.0.1:2".to_owned()));
    assert_eq!(listen(&given), 2);
    given.sources.flags.push(FlagValue {
        key: "listen",
        flag: "--listen",
        value: "127.0.0.1:3".to_owned(),
    });
    assert_eq!(listen(&given), 3);
    assert_eq!(
        Config::load(&given.sources).unwrap().database,
        DatabaseUrl::Sqlite(PathBuf::from("file.db"))
    );
}

#[test]
fn the_environment_gives_numbers_and_reaches_aliases_with_hyphens() {
    let file = format!("[partners.contoso-eu]\ntenant = \"{TENANT}\"\nclient_id = \"app\"\n");
    let given = given(
        &file,
        &[
            (
                "RELATIONSHIP_PARTNERS__CONTOSO_EU__GRANT",
                "client_credentials",
            ),
            ("RELATIONSHIP_PARTNERS__CONTOSO_EU__CLIENT_SECRET", "s3cret"),
            (
                "RELATIONSHIP_PARTNERS__CONTOSO_EU__REQUESTS_PER_MINUTE",
                "7",
            ),
            ("RELATIONSHIP_SERVICE_SERVICE_HOST", "10.0.0.1"),
            (
                "RELATIONSHIP_SERVICE_PORT_50051_TCP",
                "tcp://10.0.0.1:50051",
            ),
        ],
    );
    let config = Config::load(&given.sources).unwrap();
    let settings = &config.partners[0].settings;
    assert_eq!(settings.limits.per_minute, 7);
    assert!(matches!(settings.credentials.grant, Grant::AppOnly));
}

#[test]
fn lengths_of_time_are_read_with_their_unit() {
    let given = with_partner(
        "[timing]\nmax_suspended = \"36h\"\nverification_budget = \"1h 30m\"",
        "request_timeout = \"90s\"",
    );
    let config = Config::load(&given.sources).unwrap();
    assert_eq!(config.timing.max_suspended.as_hours(), 36);
    assert_eq!(config.timing.verification_budget.as_mins(), 90);
    assert_eq!(
        config.partners[0].settings.request_timeout,
        Duration::from_secs(90)
    );
}

#[test]
fn secrets_from_files_stay_in_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let mut given = with_partner("", &format!("client_secret_file = {secret:?}"));
    given
        .sources
        .environment
        .retain(|(name, _)| !name.ends_with("CLIENT_SECRET"));
    let config = Config::load(&given.sources).unwrap();
    let proof = &config.partners[0].settings.credentials.proof;
    assert!(
        matches!(proof, ClientProof::Secret(SecretSource::File(path)) if *path == secret),
        "{proof:?}"
    );
}

#[test]
fn no_secret_is_ever_printed() {
    let config = Config::load(&with_partner("", "").sources).unwrap();
    let printed = format!("{config:?}");
    assert!(
        !printed.contains("s3cret") && !printed.contains("t0ken"),
        "{printed}"
    );

    let mut given = with_partner("", "client_secret = \"hunter2\"\nrefresh_token = 5");
    given.sources.environment.clear();
    let told = Config::load(&given.sources).unwrap_err().to_string();
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn every_rule_names_the_key_that_breaks_it() {
    let table: &[(&str, &str, &str)] = &[
        // (top level, in the partner, key of the problem)
        ("listen = \"localhost:1\"", "", "listen"),
        ("listen = \"0.0.0.0:50051\"", "", "listen"),
        ("listen = 50051", "", "listen"),
        ("insecure_listen = \"true\"", "", "insecure_listen"),
        ("database = \"postgres://u:p@h/d\"", "", "database"),
        ("database = \"mysql://h/d\"", "", "database"),
        ("database = \"sqlite::memory:\"", "", "database"),
        ("database = \"sqlite:a.db?mode=ro\"", "", "database"),
        ("database = \"\"", "", "database"),
        ("colour = \"red\"", "", "colour"),
        ("[log]\nlevel = \"loud\"", "", "log.level"),
        ("[log]\nformat = \"xml\"", "", "log.format"),
        ("[log]\ncolour = true", "", "log.colour"),
        (
            "[timing]\nmax_suspended = \"soon\"",
            "",
            "timing.max_suspended",
        ),
        ("[timing]\nmax_suspended = 3600", "", "timing.max_suspended"),
        (
            "[timing]\nmax_suspended = \"1s\"",
            "",
            "timing.max_suspended",
        ),
        (
            "[timing]\nverification_budget = \"61s\"",
            "",
            "timing.verification_budget",
        ),
        ("timing = 1", "", "timing"),
        ("", "cloud = \"moon\"", "partners.contoso.cloud"),
        ("", "cloud = \"custom\"", "partners.contoso.base_url"),
        (
            "",
            "base_url = \"https://x.example\"",
            "partners.contoso.base_url",
        ),
        (
            "",
            "cloud = \"custom\"\nbase_url = \"http://x.example\"",
            "partners.contoso.base_url",
        ),
        (
            "",
            "cloud = \"custom\"\nbase_url = \"ftp://x.example\"",
            "partners.contoso.base_url",
        ),
        (
            "",
            "cloud = \"custom\"\nbase_url = \"https://u:p@x.example\"",
            "partners.contoso.base_url",
        ),
        (
            "",
            "cloud = \"custom\"\nbase_url = \"https://x.example?a=b\"",
            "partners.contoso.base_url",
        ),
        (
            "",
            "business_clock = \"http://127.0.0.1:1/c\"",
            "partners.contoso.business_clock",
        ),
        (
            "",
            "cloud = \"custom\"\nbase_url = \"https://x.example\"\nbusiness_clock = \"http://127.0.0.1:1/c\"",
            "partners.contoso.business_clock",
        ),
        (
            "",
            "cloud = \"custom\"\nbase_url = \"http://127.0.0.1:1\"\nbusiness_clock = \"http://x.example/c\"",
            "partners.contoso.business_clock",
        ),
        (
            "",
            "requests_per_minute = 0",
            "partners.contoso.requests_per_minute",
        ),
        (
            "",
            "requests_per_minute = \"500\"",
            "partners.contoso.requests_per_minute",
        ),
        (
            "",
            "requests_per_minute_at_most = 3",
            "partners.contoso.requests_per_minute_at_most",
        ),
        (
            "",
            "request_timeout = \"1h\"",
            "partners.contoso.request_timeout",
        ),
        (
            "",
            "client_secret_file = \"/nonexistent\"",
            "partners.contoso.client_secret",
        ),
        (
            "",
            "certificate_file = \"/nonexistent\"",
            "partners.contoso.certificate_file",
        ),
        (
            "",
            "assertion_algorithm = \"ps256\"",
            "partners.contoso.assertion_algorithm",
        ),
        ("", "clientid = \"x\"", "partners.contoso.clientid"),
        ("", "[partners.Contoso]", "partners.Contoso"),
        ("partners = 1", "", "config.toml"),
    ];
    for (top, of_partner, key) in table {
        let found = problems(&with_partner(top, of_partner));
        assert!(
            found
                .iter()
                .any(|problem| problem.key == *key || problem.key.ends_with(&format!("/{key}"))),
            "{top:?} {of_partner:?}: {key} is not among {found:#?}"
        );
        for problem in found {
            assert!(
                !problem.remedy.is_empty(),
                "{problem:?} says not what to do"
            );
        }
    }
}

#[test]
fn one_problem_does_not_hide_another() {
    let given = given(
        "listen = \"0.0.0.0:1\"\ndatabase = \"postgres://h/d\"\nunknown = 1\n\
         [partners.a]\ncloud = \"moon\"\n[log]\nlevel = \"loud\"\n",
        &[("RELATIONSHIP_TIMING__MAX_SUSPENDED", "never")],
    );
    let keys: Vec<String> = problems(&given)
        .into_iter()
        .map(|problem| problem.key)
        .collect();
    for key in [
        "listen",
        "database",
        "unknown",
        "partners.a.tenant",
        "partners.a.cloud",
        "partners.a.client_id",
        "partners.a.grant",
        "log.level",
        "timing.max_suspended",
    ] {
        assert!(
            keys.iter().any(|found| found == key),
            "{key} is not among {keys:?}"
        );
    }
}

#[test]
fn a_problem_says_where_the_value_came_from() {
    let mut given = with_partner("", "");
    given
        .sources
        .environment
        .push(("RELATIONSHIP_LOG__LEVEL".to_owned(), "loud".to_owned()));
    let [problem] = &problems(&given)[..] else {
        panic!("one problem was expected")
    };
    assert_eq!(
        problem.origin.as_deref(),
        Some("environment variable RELATIONSHIP_LOG__LEVEL")
    );
}

#[test]
fn two_partners_are_two_accounts() {
    let file = format!(
        "{}grant = \"client_credentials\"\n[partners.again]\ntenant = \"{TENANT}\"\nclient_id = \"b\"\n\
         grant = \"client_credentials\"\n",
        partner()
    );
    let given = given(
        &file,
        &[
            ("RELATIONSHIP_PARTNERS__CONTOSO__CLIENT_SECRET", "a"),
            ("RELATIONSHIP_PARTNERS__AGAIN__CLIENT_SECRET", "b"),
        ],
    );
    assert_eq!(problems(&given)[0].key, "partners.contoso.tenant");
}

#[test]
fn without_a_partner_it_says_what_to_do() {
    let found = Config::load(&Sources::default()).unwrap_err();
    assert_eq!(found.0.len(), 1);
    assert_eq!(found.0[0].key, "partners");
    assert!(found.to_string().contains("[partners.<alias>]"), "{found}");
}

#[test]
fn the_example_has_no_problem_but_the_secrets_that_are_not_here() {
    let sources = Sources {
        file: Some(PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/config/example.toml"
        ))),
        ..Sources::default()
    };
    let found = Config::load(&sources).unwrap_err();
    let keys: Vec<_> = found.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "partners.contoso.refresh_token_file",
            "partners.contoso.client_secret_file"
        ]
    );
}
