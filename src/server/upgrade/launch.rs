//! How this process was started, so that a new process can be started in the same way: by the same path, which may be a
//! link to another version by then, with the same arguments, environment and directory. A process that replaces an old
//! one has also inherited a control socket.

use super::error::UpgradeError;
use super::message::{Control, Message};
use crate::wire::PacketSocket;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The variable that names the control socket of the old process.
const SOCKET: &str = "GRIPWIRE_UPGRADE_SOCKET";
/// What the service manager has told this process alone. The new process gets the sockets from this one.
const OWN: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How this process was started.
pub struct Launch {
    program: Option<PathBuf>,
    /// The arguments, with the name of the program first.
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    /// The socket to the old process, if this process replaces one.
    pub(in crate::server) control: Option<PacketSocket>,
}

impl Launch {
    /// How this process was started. Called first of all, before the process begins a thread or changes its directory.
    ///
    /// # Errors
    /// The variable GRIPWIRE_UPGRADE_SOCKET is set, but names no control socket.
    pub fn of_this_process() -> Result<Launch, UpgradeError> {
        let control = PacketSocket::take_inherited(SOCKET).map_err(UpgradeError::Variable)?;
        let (arguments, directory) = (env::args_os().collect::<Vec<_>>(), env::current_dir().ok());
        let path = env::var_os("PATH").unwrap_or_default();
        let named = arguments.first().and_then(|name| find(name, directory.as_deref(), &path));
        // The file of the process, unless it was replaced since the start.
        let program = named.or_else(|| env::current_exe().ok().filter(|path| path.exists()));
        Ok(Launch { program, arguments, environment: env::vars_os().collect(), directory, control })
    }

    /// Tells the old process, if there is one, why this one cannot even begin to replace it.
    pub fn refuse(self, reason: &dyn std::fmt::Display) {
        if let Some(control) = self.control.map(Control::new) {
            // The old process may have given up already.
            let failed = Message::Failed { reason: reason.to_string() };
            let _ = control.send(&failed, &[], "refusing");
        }
    }

    /// Starts a new process, which gets `control`.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(super) fn start(&self, control: &PacketSocket) -> Result<Child, UpgradeError> {
        let unknown = || UpgradeError::Launch(std::io::ErrorKind::NotFound.into());
        let program = self.program.as_deref().ok_or_else(unknown)?;
        let descriptor = control.let_inherit().map_err(UpgradeError::Descriptors)?;
        let mut command = Command::new(program);
        if let Some((name, arguments)) = self.arguments.split_first() {
            command.arg0(name).args(arguments);
        }
        let inherited = self.environment.iter().filter(|(name, _)| !OWN.iter().any(|own| name == own));
        command.env_clear().envs(inherited.map(|(name, value)| (name, value)));
        command.env(SOCKET, descriptor.to_string());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.spawn().map_err(|source| UpgradeError::Start { program: program.to_owned(), source })
    }
}

/// The file that a shell in `directory` starts by `name`; links are not followed.
fn find(name: &OsStr, directory: Option<&Path>, path: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(directory.unwrap_or(Path::new("/")).join(name));
    }
    let is_program = |file: &PathBuf| {
        file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(path)
        .map(|folder| directory.unwrap_or(Path::new("/")).join(folder).join(name))
        .find(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_as_by_a_shell_and_links_stay() {
        let directory = env::temp_dir().join(format!("gripwire-launch-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", directory.join("bin/served")).unwrap();
        std::fs::write(directory.join("served"), "no program").unwrap();
        let found = |name: &str, path: &str| find(name.as_ref(), Some(&directory), path.as_ref());
        assert_eq!(found("/usr/bin/served", ""), Some("/usr/bin/served".into()));
        assert_eq!(found("bin/served", ""), Some(directory.join("bin/served")));
        let both = format!("{0}:{0}/bin", directory.display());
        assert_eq!(found("served", &both), Some(directory.join("bin/served")));
        assert_eq!(found("served", "bin"), Some(directory.join("bin/served")));
        assert_eq!(found("served", "/nowhere"), None);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_new_process_gets_the_arguments_the_environment_and_the_socket() {
        let script = "test \"$0 $1 $KEPT $LISTEN_FDS\" = 'name one two ' && test -S /proc/self/fd/$GRIPWIRE_UPGRADE_SOCKET \
                      && test $(pwd) = /usr";
        let launch = Launch {
            program: Some("/bin/sh".into()),
            arguments: ["sh", "-c", script, "name", "one"].map(OsString::from).into(),
            environment: [("KEPT", "two"), ("LISTEN_FDS", "1"), ("PATH", "/usr/bin:/bin")]
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            directory: Some("/usr".into()),
            control: None,
        };
        let (_ours, theirs) = PacketSocket::pair().unwrap();
        assert!(launch.start(&theirs).unwrap().wait().unwrap().success());
        let gone = Launch { program: Some("/no/such/program".into()), ..launch };
        let error = gone.start(&theirs).unwrap_err().to_string();
        assert!(error.contains("/no/such/program"), "{error}");
    }
}
