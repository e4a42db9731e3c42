//! Reads the files again while the server runs. As at the start, the options of `serve` override the files. Mistakes are
//! logged; if a file cannot be used, the old settings and routes stay in force.

use std::path::PathBuf;

use gripwire::config::Config;
use gripwire::origin::Routes;
use gripwire::server::Files;
use tracing::error;

use super::log::Log;
use super::startup::{Startup, StartupError};

/// The files of a running server.
pub struct ServedFiles {
    read: Box<dyn Fn() -> Result<Startup, StartupError>>,
    paths: Vec<PathBuf>,
    log: Log,
}

impl ServedFiles {
    /// The files of `startup`. `read` reads them again.
    pub fn of(
        read: impl Fn() -> Result<Startup, StartupError> + 'static,
        startup: &Startup,
        log: Log,
    ) -> ServedFiles {
        ServedFiles { read: Box::new(read), paths: startup.files.clone(), log }
    }
}

impl Files for ServedFiles {
    fn read(&mut self) -> Option<(Config, Routes)> {
        match (self.read)() {
            Ok(startup) => {
                self.paths = startup.files;
                Some((startup.config, startup.routes))
            }
            Err(wrong) => {
                let wrong = anyhow::Error::new(wrong);
                error!("the old settings stay in force: {wrong:#}");
                None
            }
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.paths.clone()
    }

    fn in_force(&mut self, settings: &Config) {
        self.log.set_level(&settings.log.level);
    }
}
