//! `gripwire check`: reads all files that `serve` would read, and starts nothing. Errors go to standard output as
//! `file:line: message`, so that editors and scripts can use them; warnings go to standard error. The exit code is 0
//! only if `serve` would start with every route.

use std::process::ExitCode;

use clap::Args;
use gripwire::config::LoadError;
use gripwire::server::{check_certificates, check_keys};

use super::startup::{ConfigFile, Startup, StartupError};

/// The options of `check`.
#[derive(Args)]
#[command(long_about = ABOUT)]
pub struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// A route, written like a line of the routes file; repeatable; these routes replace the routes file
    #[arg(long = "route", value_name = "LINE")]
    routes: Vec<String>,
}

impl Check {
    /// Prints all errors and warnings.
    pub fn run(self) -> ExitCode {
        let Check { file, routes } = self;
        let started = file.start(false, |config| {
            if !routes.is_empty() {
                config.proxy.routes = routes;
            }
        });
        let (errors, warnings, count) = match started {
            Ok(Startup { config, mut errors, warnings, routes, .. }) => {
                errors.extend(check_keys(&config, &routes).iter().map(ToString::to_string));
                errors.extend(check_certificates(&config));
                (errors, warnings, routes.len())
            }
            Err(error) => (messages(error), Vec::new(), 0),
        };
        for warning in &warnings {
            eprintln!("{warning}");
        }
        for error in &errors {
            println!("{error}");
        }
        if !errors.is_empty() {
            return ExitCode::FAILURE;
        }
        println!("OK: {count} {}", if count == 1 { "route" } else { "routes" });
        ExitCode::SUCCESS
    }
}

/// The messages of an error that stopped the reading: one for each wrong line, if the error names lines.
fn messages(error: StartupError) -> Vec<String> {
    match error {
        StartupError::Config(LoadError::Invalid(problems)) => {
            problems.iter().map(ToString::to_string).collect()
        }
        StartupError::NoRoutes(errors) if !errors.is_empty() => errors,
        error => vec![with_causes(&error)],
    }
}

/// An error and its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(beneath) = cause {
        text.push_str(&format!(": {beneath}"));
        cause = beneath.source();
    }
    text
}

const ABOUT: &str = "\
Read the configuration and the routes, and report mistakes, without starting a server.

Errors are printed as `file:line: message`, warnings likewise to standard error. The exit code is 1 if there is an \
error; otherwise `OK` and the number of routes is printed.";
