//! Configuration: one file, the environment and the flags, validated as a whole before anything opens.
//!
//! A flag wins over the environment, the environment over the file. Every problem is reported at once,
//! and a key that nobody reads is one. `docs/configuration.md` describes the keys for people.

mod layers;
mod partner;
mod problem;
mod section;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;

pub use partner::PartnerConfig;
pub use problem::{Problem, Problems};

use layers::Node;
use problem::{Report, Reported};
use section::Section;

use crate::domain::step::Timing;
use crate::telemetry::LogFormat;

/// Where the service listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:50051";

/// Everything the service needs to know before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Whether `listen` may be off loopback although callers are not authenticated.
    pub insecure_listen: bool,
    /// Where offboardings are kept.
    pub database: DatabaseUrl,
    /// The partners, by alias; never empty, tenants differ.
    pub partners: Vec<PartnerConfig>,
    /// Limits in business time.
    pub timing: Timing,
    /// What is logged and how.
    pub log: LogConfig,
}

/// Where offboardings are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
}

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// In which form.
    pub format: LogFormat,
    /// Which spans and events: `info`, or directives such as `info,relationship_service=debug`.
    pub level: String,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment: names and values.
    pub environment: Vec<(String, String)>,
    /// The flags that were given.
    pub flags: Vec<FlagValue>,
}

/// A flag that was given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagValue {
    /// The key that it sets, e.g. `log.level`.
    pub key: &'static str,
    /// The flag, e.g. `--log-level`.
    pub flag: &'static str,
    /// Its value.
    pub value: String,
}

impl Config {
    /// Reads and validates everything.
    ///
    /// Opens nothing but the configuration file and the files that hold secrets.
    ///
    /// # Errors
    /// Every problem there is, at once.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let report = Report::default();
        let mut tree = match &sources.file {
            Some(path) => read_file(path, &report).unwrap_or_default(),
            None => BTreeMap::new(),
        };
        layers::put_environment(&mut tree, &sources.environment, &report);
        for flag in &sources.flags {
            layers::put_flag(&mut tree, flag.key, flag.flag, &flag.value, &report);
        }
        let config = read(Section::new("", tree, &report), &report);
        let problems = report.into_problems();
        match config {
            Ok(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems(problems)),
        }
    }
}

fn read_file(path: &Path, report: &Report) -> Result<BTreeMap<String, Node>, Reported> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        report.add(
            path.display().to_string(),
            None,
            format!("cannot be read: {error}"),
            "Name a readable file with --config or RELATIONSHIP_CONFIG.",
        )
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        report.add(
            path.display().to_string(),
            None,
            format!("is no TOML:\n{error}"),
            "Correct that line; config/example.toml shows a whole file.",
        )
    })?;
    Ok(layers::from_file(table))
}

fn read(mut root: Section<'_>, report: &Report) -> Result<Config, Reported> {
    let listen = listen(&mut root);
    let database = database(&mut root);
    let partners = partners(&mut root, report);

    let mut section = root.section("timing");
    let defaults = Timing::default();
    let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
    let max_suspended = section.duration("max_suspended", Duration::from_secs(60)..=hours(720));
    // Two looks at least 60 s apart have to fit.
    let budget = section.duration("verification_budget", Duration::from_secs(120)..=hours(168));
    section.close();

    let mut section = root.section("log");
    let format = section.word(
        "format",
        &[("human", LogFormat::Human), ("json", LogFormat::Json)],
    );
    let level = level(&mut section);
    section.close();
    root.close();

    let (listen, insecure_listen) = listen?;
    Ok(Config {
        listen,
        insecure_listen,
        database: database?,
        partners: partners?,
        timing: Timing {
            max_suspended: max_suspended?.map_or(defaults.max_suspended, signed),
            verification_budget: budget?.map_or(defaults.verification_budget, signed),
            ..defaults
        },
        log: LogConfig {
            format: format?.unwrap_or(LogFormat::Human),
            level: level?,
        },
    })
}

/// The section that gave it is at most a month, which fits.
fn signed(length: Duration) -> SignedDuration {
    SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX)
}

fn listen(root: &mut Section<'_>) -> Result<(SocketAddr, bool), Reported> {
    let read = root.text("listen");
    let insecure = root
        .boolean("insecure_listen")
        .map(Option::unwrap_or_default);
    let (text, origin) = match read? {
        Some((text, origin)) => (text, Some(origin)),
        None => (DEFAULT_LISTEN.to_owned(), None),
    };
    let address: SocketAddr = text.parse().map_err(|_| {
        root.problem(
            "listen",
            origin.as_ref(),
            format!("{text:?} is no address and port"),
            "Use an IP address and a port, e.g. 127.0.0.1:50051 or [::1]:50051.",
        )
    })?;
    let insecure = insecure?;
    if !address.ip().is_loopback() && !insecure {
        return Err(root.problem(
            "listen",
            origin.as_ref(),
            format!(
                "{address} is not on loopback, and callers are not authenticated: whoever reaches \
                 it could end relationships"
            ),
            "Use 127.0.0.1, or give --insecure-listen if something in front of the service \
             authenticates callers.",
        ));
    }
    Ok((address, insecure))
}

fn database(root: &mut Section<'_>) -> Result<DatabaseUrl, Reported> {
    let (text, origin) = match root.text("database")? {
        Some((text, origin)) => (text, Some(origin)),
        None => ("relationship.db".to_owned(), None),
    };
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let path = match scheme {
        Some("postgres" | "postgresql") => {
            // The URL may hold a password, so it is not repeated.
            return Err(root.problem(
                "database",
                origin.as_ref(),
                "PostgreSQL is not supported yet",
                "Use a SQLite file, e.g. database = \"sqlite:/var/lib/relationship/relationship.db\".",
            ));
        }
        Some("sqlite") => {
            let path = &text["sqlite:".len()..];
            path.strip_prefix("//").unwrap_or(path)
        }
        Some(scheme) if text[scheme.len()..].starts_with("://") => {
            return Err(root.problem(
                "database",
                origin.as_ref(),
                format!("{scheme} is no database that is supported"),
                "Use the path of a SQLite file, with or without sqlite: before it.",
            ));
        }
        _ => text.as_str(),
    };
    if path.is_empty() || path.contains(":memory:") {
        return Err(root.problem(
            "database",
            origin.as_ref(),
            "names no file, and offboardings have to survive a restart",
            "Use the path of a SQLite file.",
        ));
    }
    if path.contains('?') {
        return Err(root.problem(
            "database",
            origin.as_ref(),
            "holds parameters, which have no effect",
            "Name the file alone.",
        ));
    }
    Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
}

fn partners(root: &mut Section<'_>, report: &Report) -> Result<Vec<PartnerConfig>, Reported> {
    let section = root.section("partners");
    if section.is_empty() {
        return Err(root.problem(
            "partners",
            None,
            "no partner is configured, so there is nothing to serve",
            "Add a section [partners.<alias>] with tenant, client_id, grant and its secrets \
             (config/example.toml shows one), or try `relationship-service demo`, which needs none.",
        ));
    }
    let partners = partner::partners(section)?;
    for (index, partner) in partners.iter().enumerate() {
        if let Some(first) = partners[..index]
            .iter()
            .find(|p| p.settings.tenant == partner.settings.tenant)
        {
            return Err(report.add(
                format!("partners.{}.tenant", partner.alias),
                None,
                format!(
                    "{} is also the tenant of {}",
                    partner.settings.tenant, first.alias
                ),
                "Keep one section per Partner Center account.",
            ));
        }
    }
    Ok(partners)
}

fn level(section: &mut Section<'_>) -> Result<String, Reported> {
    let Some((text, origin)) = section.text("level")? else {
        return Ok("info".to_owned());
    };
    // A word that is no level would be taken for the name of a module, and everything else be silent.
    let names_a_level = text.split(',').any(|directive| {
        directive
            .trim()
            .parse::<tracing_subscriber::filter::LevelFilter>()
            .is_ok()
    });
    match tracing_subscriber::EnvFilter::builder().parse(&text) {
        Ok(_) if names_a_level => Ok(text),
        _ => Err(section.problem(
            "level",
            Some(&origin),
            format!("{text:?} names no level"),
            "Use error, warn, info, debug or trace, or directives such as info,sqlx=warn.",
        )),
    }
}
