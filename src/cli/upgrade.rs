//! `gripwire upgrade`: asks a running server to start a new process that takes over, and waits for the outcome. The options
//! that name the server are those of `gripwire publish`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Deserialize;

use super::publish::control_port::{ControlPort, Credentials, SpecError};
use super::publish::destination::Destination;
use super::publish::{local, post};

/// The options of `upgrade`.
#[derive(Args)]
#[command(long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Upgrade {
    /// Server to upgrade: the URL of its control port, whose query may have `iss` and `key` for signing, or unix:///PATH
    #[arg(long, value_name = "URL", env = "GRIP_URL", hide_env_values = true)]
    #[arg(default_value = "http://localhost:5561")]
    spec: String,
    /// Authenticate with a name and a password
    #[arg(short, long, value_name = "USER:PASSWORD", conflicts_with = "bearer")]
    user: Option<String>,
    /// Authenticate with a token of the scope `admin`
    #[arg(short = 'B', long, value_name = "TOKEN")]
    bearer: Option<String>,
}

/// Why no upgrade took place.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeCallError {
    /// The URL cannot be used.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A transport without answers.
    #[error(
        "{0} takes no calls: give the URL of the control port, such as --spec http://localhost:5561, or unix:///PATH"
    )]
    NoCalls(String),
    /// The server did not answer.
    #[error(
        "{to} does not answer; check that the server is running and that --spec (or GRIP_URL) names its control port"
    )]
    Unanswered {
        /// The server.
        to: String,
        /// The error of the HTTP client or the system.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server refused, or the old process goes on.
    #[error("{to} was not upgraded: {}{}", body.trim_end(), advice(*status))]
    Refused {
        /// The server.
        to: String,
        /// The status of the answer.
        status: u16,
        /// The body of the answer.
        body: String,
    },
}

/// The server's answer after an upgrade.
#[derive(Deserialize)]
struct Upgraded {
    pid: u32,
    has_clients: bool,
}

/// Where the call goes.
enum Server {
    ControlPort(ControlPort),
    UnixStream(PathBuf),
}

impl Upgrade {
    /// Asks for the upgrade and prints the outcome.
    ///
    /// # Errors
    /// Why no upgrade took place.
    pub fn run(self) -> Result<ExitCode, UpgradeCallError> {
        let (to, (status, body)) = self.server()?.call()?;
        let upgraded = serde_json::from_str::<Upgraded>(&body).ok().filter(|_| status == 200);
        match upgraded {
            Some(Upgraded { pid, has_clients: true }) => {
                println!("Upgraded: process {pid} serves, with the clients of the old process");
            }
            Some(Upgraded { pid, has_clients: false }) => {
                println!(
                    "Upgraded: process {pid} serves new clients, and the old process drains its own, because their state \
                     has another format"
                );
            }
            None => return Err(UpgradeCallError::Refused { to, status, body }),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn server(self) -> Result<Server, UpgradeCallError> {
        let now_s = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let credentials = match (self.user, self.bearer) {
            (Some(pair), _) => Some(Credentials::Basic(pair)),
            (None, token) => token.map(Credentials::Bearer),
        };
        match Destination::parse(&self.spec, credentials, now_s)? {
            Destination::ControlPort(port) => Ok(Server::ControlPort(port.for_call(CALL))),
            Destination::UnixStream(path) => Ok(Server::UnixStream(path)),
            other => Err(UpgradeCallError::NoCalls(other.to_string())),
        }
    }
}

impl Server {
    /// Calls the server. Returns its name, and the status and the body of its answer.
    fn call(&self) -> Result<(String, (u16, String)), UpgradeCallError> {
        let (to, answer) = match self {
            Server::ControlPort(port) => (
                port.to_string(),
                post::call(port, "", b"", PATIENCE).map_err(|error| Box::new(error) as Box<_>),
            ),
            Server::UnixStream(path) => {
                let answer = local::call(path, &format!("/{CALL}/"), b"", PATIENCE);
                (format!("unix://{}", path.display()), answer.map_err(|error| Box::new(error) as Box<_>))
            }
        };
        match answer {
            Ok(answer) => Ok((to, answer)),
            Err(source) => Err(UpgradeCallError::Unanswered { to, source }),
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "; give --user or --bearer, or put `iss` and `key` into GRIP_URL",
        404 | 405 => "; this server does not know upgrades: restart it",
        _ => "",
    }
}

/// The call of the control port.
const CALL: &str = "upgrade";
/// Time that an upgrade may take. The server gives up earlier.
const PATIENCE: Duration = Duration::from_secs(150);

const ABOUT: &str = "\
Replace a running server by a new process, without losing clients.

The server starts its program again, by the path, with the options, in the environment and in the directory of its own \
start, so first put the new program or the new configuration in place. The new process gets the ports and the clients. If \
anything fails before it serves, the old process goes on. SIGUSR2 does the same without an answer.";

const EXAMPLES: &str = "\
Examples:
  gripwire check --config gripwire.toml && gripwire upgrade
  gripwire upgrade --spec http://localhost:5571 --bearer SECRET
  gripwire upgrade --spec unix:///run/gripwire/publish.sock";
