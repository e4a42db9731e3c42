//! What is to be compared, as the command line says it, and where its figures are saved.

use super::scenario::{self, Scenario};
use crate::servers::Server;
use anyhow::Context;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is compared.
#[derive(clap::Args)]
pub struct Settings {
    /// Scenarios to run; all of them without it, or with --against those that tell builds apart
    #[arg(value_name = "SCENARIO", value_parser = scenario::names())]
    scenarios: Vec<String>,
    /// Compare with this build of Gripwire; exits with 1 if the one beside this program is worse
    #[arg(long, value_name = "BINARY")]
    pub against: Option<PathBuf>,
    /// A figure is worse when its whole interval is above this ratio
    #[arg(long, value_name = "RATIO", default_value_t = 1.02, requires = "against", value_parser = bound)]
    pub bound: f64,
    /// Servers to run: floor,gripwire,nchan,pushpin without it, or with --against none but the two builds
    #[arg(long, value_enum, value_delimiter = ',')]
    pub servers: Option<Vec<Server>>,
    /// Rounds, of whose figures the medians are reported: 5 without it, or with --against 8, 6 at least
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
    /// Where to save the figures as JSON: target/compare.json without it, or with --against target/against.json
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Settings {
    /// Whether `scenario` is to be run.
    pub fn wants(&self, scenario: &Scenario) -> bool {
        match self.scenarios.is_empty() {
            true => self.against.is_none() || scenario.tells_builds_apart,
            false => self.scenarios.iter().any(|name| name == scenario.name),
        }
    }

    /// Where figures are saved.
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
