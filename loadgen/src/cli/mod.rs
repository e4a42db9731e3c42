//! The command line. `arguments.rs` declares it, `addresses.rs` reads ranges of addresses, `plan.rs` makes the plan of a
//! run, `live.rs` shows the progress, and `table.rs` prints the results.

mod addresses;
mod arguments;
mod live;
mod plan;
mod table;

use anyhow::Context;
use arguments::{Arguments, Command};
use clap::Parser;
use gripwire_loadgen::{Origin, Outcome, html_report, run_worker};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Executes the command line.
///
/// # Errors
/// The arguments contradict each other, or the command failed.
pub fn run() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(Command::Worker) = arguments.command {
        return run_worker().map(|()| ExitCode::SUCCESS).context("a worker");
    }
    let plan = plan::of(&arguments)?;
    let _origin = match arguments.origin {
        Some(address) => Some(
            Origin::start(address, arguments.origin_threads)
                .with_context(|| format!("cannot serve an origin at {address}: is the port free?"))?,
        ),
        None => None,
    };
    let mut live = live::Live::new(&plan, arguments.quiet);
    let outcome = gripwire_loadgen::run(&plan, &mut |phase, moment| live.show(phase, moment));
    live.finish();
    let outcome = outcome?;
    write_reports(&arguments, &outcome)?;
    let failed = arguments.strict && !outcome.is_clean();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write_reports(arguments: &Arguments, outcome: &Outcome) -> anyhow::Result<()> {
    let to_output = arguments.json.as_deref().is_some_and(|path| path == Path::new("-"));
    if !to_output {
        println!("{}", table::of(outcome));
    }
    let parameters = arguments.parameters();
    let command_line = command_line();
    if let Some(path) = &arguments.json {
        let mut value = outcome.json();
        value["command_line"] = json!(command_line);
        value["parameters"] = parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let text = serde_json::to_string_pretty(&value)? + "\n";
        match to_output {
            true => print!("{text}"),
            false => {
                std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?
            }
        }
    }
    if let Some(path) = &arguments.report {
        let page = html_report(outcome, &arguments.title(), &parameters, &command_line);
        std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The command line, quoted for a shell.
fn command_line() -> String {
    let quoted = |word: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    let words = std::env::args().skip(1).map(quoted);
    std::iter::once("gripwire-loadgen".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}
