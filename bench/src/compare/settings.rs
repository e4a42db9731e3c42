//! The settings of a comparison on the command line, and the file for its figures.

use super::scenario::{self, Scenario};
use crate::servers::Server;
use anyhow::Context;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The settings of a comparison.
#[derive(clap::Args)]
pub struct Settings {
    /// Scenarios to run; by default all, or with --against the scenarios that distinguish builds
    #[arg(value_name = "SCENARIO", value_parser = scenario::names())]
    scenarios: Vec<String>,
    /// Compare with this build of Gripwire; the exit code is 1 if the build beside this program is worse
    #[arg(long, value_name = "BINARY")]
    pub against: Option<PathBuf>,
    /// A figure is worse when its whole interval is above this ratio
    #[arg(long, value_name = "RATIO", default_value_t = 1.02, requires = "against", value_parser = bound)]
    pub bound: f64,
    /// Servers to run; by default floor,gripwire,nchan,pushpin, or with --against only the two builds
    #[arg(long, value_enum, value_delimiter = ',')]
    pub servers: Option<Vec<Server>>,
    /// Rounds, of which the medians are printed; by default 5, or with --against 8 (at least 6)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
    /// File for the figures as JSON; by default target/compare.json, or with --against target/against.json
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Settings {
    /// Whether to run `scenario`.
    pub fn wants(&self, scenario: &Scenario) -> bool {
        match self.scenarios.is_empty() {
            true => self.against.is_none() || scenario.tells_builds_apart,
            false => self.scenarios.iter().any(|name| name == scenario.name),
        }
    }

    /// The file for the figures.
    pub fn json(&self, otherwise: &str) -> PathBuf {
        self.json.clone().unwrap_or_else(|| otherwise.into())
    }
}

/// Writes figures to `path` as JSON.
pub fn save(path: &Path, figures: &impl Serialize) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, serde_json::to_string_pretty(figures)?)
        .with_context(|| format!("saving {}", path.display()))
}

fn bound(text: &str) -> Result<f64, String> {
    let bound: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (1.0..f64::INFINITY).contains(&bound).then_some(bound).ok_or_else(|| "a bound is 1 or more".to_owned())
}
