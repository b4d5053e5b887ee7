//! The real binary with its own configuration, secrets and database: started, watched, killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use relationship_service::grpc::proto::relationship_service_client::RelationshipServiceClient;
use relationship_service::simulator::{PartnerSpec, Simulator};
use tonic::transport::{Channel, Endpoint};

/// Lines of log that a failed test shows.
const SHOWN: usize = 40;

/// A folder with everything that the service needs, and its database.
pub(crate) struct Installation {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Installation {
    /// For the simulator's first partner.
    pub(crate) fn new(simulator: &Simulator, partner: &PartnerSpec) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let secret = file("client-secret", partner.client_secret.as_deref().unwrap());
        let refresh = file("refresh-token", &partner.refresh_token);
        let base = simulator.base_url();
        // A short request timeout: that long a new life waits before it repeats what the last one left
        // open. A long budget: the clock moves for all whenever it has to move for one.
        let config = file(
            "config.toml",
            &format!(
                r#"
                listen = "127.0.0.1:0"
                database = "{database}"
                [partners.sim]
                tenant = "{tenant}"
                cloud = "custom"
                base_url = "{base}"
                grant = "refresh_token"
                client_id = "{client}"
                client_secret_file = "{secret}"
                refresh_token_file = "{refresh}"
                requests_per_minute = 1000000
                request_timeout = "1s"
                business_clock = "{base}control/clock"
                [timing]
                verification_budget = "168h"
                [log]
                format = "json"
                "#,
                database = folder.path().join("relationship.db").display(),
                tenant = partner.tenant_id,
                client = partner.client_id,
                secret = secret.display(),
                refresh = refresh.display(),
            ),
        );
        Self { folder, config }
    }

    /// Starts it; does not wait until it serves.
    pub(crate) fn start(&self) -> Service {
        self.start_with(&[])
    }

    /// Starts it with flags; does not wait until it serves.
    pub(crate) fn start_with(&self, flags: &[&str]) -> Service {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_relationship-service"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RELATIONSHIP_") {
                command.env_remove(name);
            }
        }
        let mut process = command
            .arg("serve")
            .arg("--config")
            .arg(&self.config)
            .args(flags)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stderr = process.stderr.take().unwrap().into_owned_fd().unwrap();
        let said: Arc<Mutex<Said>> = Arc::default();
        let writer = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(fs::File::from(stderr)).lines() {
                let Ok(line) = line else { return };
                writer.lock().unwrap().take(line);
            }
        });
        Service {
            process,
            said,
            reader: Some(reader),
        }
    }
}

/// What the process has logged.
#[derive(Default)]
struct Said {
    address: Option<SocketAddr>,
    lines: Vec<String>,
}

impl Said {
    fn take(&mut self, line: String) {
        if self.address.is_none()
            && let Ok(event) = serde_json::from_str::<serde_json::Value>(&line)
            && event["message"] == "serving"
        {
            self.address = event["address"]
                .as_str()
                .map(|address| address.parse().unwrap());
        }
        self.lines.push(line);
    }
}

/// One life.
pub(crate) struct Service {
    process: tokio::process::Child,
    said: Arc<Mutex<Said>>,
    reader: Option<JoinHandle<()>>,
}

impl Service {
    /// Where it serves, once it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.said.lock().unwrap().address
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        let said = self.said.lock().unwrap();
        let from = said.lines.len().saturating_sub(SHOWN);
        said.lines[from..].join("\n")
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    /// SIGKILL; returns when it is dead and its log read to the end.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
        self.finish();
    }

    /// SIGTERM; it has to end well.
    pub(crate) async fn terminate(mut self) {
        let id = self.process.id().unwrap().to_string();
        let sent = tokio::process::Command::new("kill")
            .args(["-TERM", &id])
            .status();
        assert!(sent.await.unwrap().success());
        let status = self.process.wait().await.unwrap();
        assert!(status.success(), "{status}: {}", self.log());
        self.finish();
    }

    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let said = self.said.lock().unwrap();
        let wrong = said
            .lines
            .iter()
            .find(|line| line.contains("\"level\":\"ERROR\"") || line.contains("panicked at"));
        assert!(wrong.is_none(), "the service logged an error: {wrong:?}");
    }
}

/// A connection to one life. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) RelationshipServiceClient<Channel>);

impl Client {
    /// Connects when it is first used.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self(RelationshipServiceClient::new(endpoint.connect_lazy()))
    }
}
