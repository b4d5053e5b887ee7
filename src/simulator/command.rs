//! The command `simulate`: starts a simulator, says how to reach it, and runs until interrupted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{Scenario, Simulator, SimulatorConfig, SimulatorError};

/// Arguments of `simulate`.
#[derive(Debug, Clone, clap::Args)]
pub struct SimulateArgs {
    /// Loopback address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7080")]
    pub listen: SocketAddr,
    /// Number of customers.
    #[arg(long, default_value_t = 10, conflicts_with = "scenario")]
    pub customers: usize,
    /// Active legacy subscriptions of each customer.
    #[arg(long, default_value_t = 5, conflicts_with = "scenario")]
    pub subscriptions: usize,
    /// Seed of every id and name.
    #[arg(long, default_value_t = 1, conflicts_with = "scenario")]
    pub seed: u64,
    /// Scenario file (JSON, see docs/simulator.md) instead of a seeded one; `demo` and
    /// `every-kind` name built-in scenarios.
    #[arg(long)]
    pub scenario: Option<PathBuf>,
    /// Constant delay of every answer, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub latency_ms: u64,
    /// Bearer token to accept though it was not issued here, as app+user token of the first
    /// partner; may be repeated.
    #[arg(long = "accept-token", value_name = "TOKEN")]
    pub accept_tokens: Vec<String>,
}

/// Runs `simulate` until it is interrupted.
///
/// # Errors
/// [`SimulatorError`] where the scenario cannot be read or the address cannot be used.
pub async fn run(args: SimulateArgs) -> Result<(), SimulatorError> {
    let mut scenario = scenario(&args).await?;
    scenario.behaviour.accept_tokens.extend(args.accept_tokens);
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(SimulatorError::Listen)?;
    let config = SimulatorConfig {
        latency: (args.latency_ms > 0).then(|| Duration::from_millis(args.latency_ms)),
        ..SimulatorConfig::new(scenario.clone())
    };
    let simulator = Simulator::start(config, listener).await?;
    print!("{}", introduction(simulator.base_url().as_str(), &scenario));
    let interrupted = tokio::signal::ctrl_c().await;
    simulator.shutdown().await;
    interrupted.map_err(SimulatorError::Listen)
}

async fn scenario(args: &SimulateArgs) -> Result<Scenario, SimulatorError> {
    let Some(path) = &args.scenario else {
        return Ok(Scenario::seeded(
            args.customers,
            args.subscriptions,
            args.seed,
        ));
    };
    match path.to_str() {
        Some("demo") => return Ok(Scenario::demo()),
        Some("every-kind") => return Ok(Scenario::every_kind(args.seed)),
        _ => {}
    }
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|source| SimulatorError::File {
            path: path.display().to_string(),
            source,
        })?;
    serde_json::from_str(&text)
        .map_err(|error| SimulatorError::Scenario(format!("{}: {error}", path.display())))
}

/// What listens where, with which credentials, and a line to try it with.
fn introduction(base: &str, scenario: &Scenario) -> String {
    let base = base.trim_end_matches('/');
    let mut text = format!(
        "simulated Partner Center (not Microsoft's) on {base}\n\
         \x20 REST API        {base}/v1\n\
         \x20 token endpoint  {base}/<tenant>/oauth2/token\n\
         \x20 control API     {base}/control/clock, /journal, /state, /faults, /act, /scenario\n"
    );
    for partner in &scenario.partners {
        let secret = partner
            .client_secret
            .as_deref()
            .unwrap_or("(assertion only)");
        text.push_str(&format!(
            "partner {:?}, {}\n\
             \x20 tenant id      {}\n\
             \x20 client id      {}\n\
             \x20 client secret  {secret}\n\
             \x20 refresh token  {}\n",
            partner.name,
            match partner.customers.len() {
                1 => "1 customer".to_owned(),
                n => format!("{n} customers"),
            },
            partner.tenant_id,
            partner.client_id,
            partner.refresh_token,
        ));
        if let Some(customer) = partner.customers.first() {
            text.push_str(&format!(
                "  first customer {} ({})\n",
                customer.id, customer.name
            ));
        }
    }
    if let Some(partner) = scenario.partners.first() {
        text.push_str(&format!(
            "try:\n\
             TOKEN=$(curl -s {base}/{}/oauth2/token -d grant_type=refresh_token \
             -d client_id={} -d client_secret={} -d refresh_token={} \
             -d resource=https://api.partnercenter.microsoft.com \
             | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/') && \
             curl -s {base}/v1/customers -H \"Authorization: Bearer $TOKEN\"\n",
            partner.tenant_id,
            partner.client_id,
            partner.client_secret.as_deref().unwrap_or_default(),
            partner.refresh_token,
        ));
    }
    text
}
