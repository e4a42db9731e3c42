//! Reading the files again while the server runs, with the options of `serve` laid over them as at its start. What is
//! wrong is logged; files that cannot be used leave everything as it was.

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
    /// Those of `startup`, which `read` reads again.
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
