//! Failures of a new process, for tests: it dies at a step, or claims another format of the clients' state. Variables of the
//! environment say so. Builds for production do not read them.
//!
//! A value that begins with `/` is the path of a file with the value, so that a test can change its mind between two
//! upgrades.

/// The variable that names the step at which the new process dies.
#[cfg(debug_assertions)]
const DIE: &str = "GRIPWIRE_UPGRADE_DIE";
/// The variable with the format that the new process claims.
#[cfg(debug_assertions)]
const FORMAT: &str = "GRIPWIRE_UPGRADE_FORMAT";

/// Dies here if a test wants the new process to die at `step`.
pub(super) fn pass(step: &str) {
    #[cfg(debug_assertions)]
    if value(DIE).is_some_and(|wanted| wanted == step) {
        // Nothing of this process may go on, as if it had been killed.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
    #[cfg(not(debug_assertions))]
    let _ = step;
}

/// The format that the new process claims, which is `own` outside of tests.
pub(super) fn format(own: u32) -> u32 {
    #[cfg(debug_assertions)]
    if let Some(claimed) = value(FORMAT).and_then(|text| text.parse().ok()) {
        return claimed;
    }
    own
}

#[cfg(debug_assertions)]
fn value(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok()?;
    let value = if value.starts_with('/') { std::fs::read_to_string(&value).ok()? } else { value };
    Some(value.trim().to_owned())
}
