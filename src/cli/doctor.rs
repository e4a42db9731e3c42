//! `gripwire doctor`: examines the machine and says what to change for a number of connections. The findings go to
//! standard output as text or JSON; nothing is changed. The exit code is 1 if the machine cannot serve that number.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gripwire::config::LoadError;
use gripwire::doctor::{self, Finding, Level, Machine, NotAMachine, Plan};
use serde::Serialize;

use super::startup::ConfigFile;

/// The options of `doctor`.
#[derive(Args)]
#[command(long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Doctor {
    #[command(flatten)]
    file: ConfigFile,
    /// Number of connections to be ready for
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    connections: u64,
    /// Number of cores the server runs on [default: one for each CPU that may be used]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    cores: Option<u16>,
    /// Examine the limits of a running server rather than of this shell
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Examine a copy of /proc and /sys below this directory
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// Why there are no findings.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The settings cannot be read.
    #[error(transparent)]
    Settings(#[from] LoadError),
    /// The machine cannot be examined.
    #[error(transparent)]
    Machine(#[from] NotAMachine),
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    connections: u64,
    cores: u64,
    findings: &'a [Finding],
}

impl Doctor {
    /// Prints the findings.
    ///
    /// # Errors
    /// The configuration cannot be used, or the machine cannot be examined.
    pub fn run(self) -> Result<ExitCode, DoctorError> {
        let config = self.file.settings()?;
        let machine = Machine::open(&self.root, self.pid)?;
        let cores = self.cores.map(usize::from).or(config.cores);
        let cores = cores.unwrap_or_else(|| doctor::allowed_cpus(&machine)) as u64;
        let plan = Plan::new(self.connections, cores);
        let mut findings = doctor::examine(&machine, &plan);
        findings.extend(doctor::examine_settings(&machine, cores, &config));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        if self.json {
            let report = Report { connections: plan.connections, cores, findings: &findings };
            println!("{:#}", serde_json::json!(report));
        } else {
            findings.iter().for_each(print);
            println!("{}", summary(&plan, &findings));
        }
        let worst = findings.iter().map(|finding| finding.level).max();
        Ok(if worst == Some(Level::Problem) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn print(finding: &Finding) {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Advice => "advice",
        Level::Problem => "problem",
    };
    println!("{level:8} {}: {}", finding.subject, finding.found);
    if let Some(remedy) = &finding.remedy {
        println!("         wanted: {}", remedy.wanted);
        println!("         why:    {}", remedy.why);
        println!("         do:     {}\n", remedy.mend);
    }
}

fn summary(plan: &Plan, findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (problems, advice) = (count(Level::Problem), count(Level::Advice));
    let cores = if plan.cores == 1 { "1 core".to_owned() } else { format!("{} cores", plan.cores) };
    format!(
        "\n{} connections on {cores}: {problems} {}, {advice} {} of advice",
        doctor::grouped(plan.connections),
        if problems == 1 { "problem" } else { "problems" },
        if advice == 1 { "piece" } else { "pieces" },
    )
}

const ABOUT: &str = "\
Examine this machine and say what to change for a number of connections, and why.

It reads kernel settings, limits, control groups, CPUs, network cards, connection tracking and the kernel's counters \
since boot from files below /proc and /sys, and the server's settings. It changes nothing. A problem means that the \
machine cannot serve that number of connections; advice means that it would serve them less well. The exit code is 1 \
if there is a problem. The files that the findings refer to are in the directory `tuning` of Gripwire's sources.";

const EXAMPLES: &str = "\
Examples:
  gripwire doctor --connections 1000000
  gripwire doctor --pid $(pidof gripwire)
  gripwire doctor --json | jq '.findings[] | select(.level == \"problem\")'";
