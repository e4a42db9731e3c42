//! How a server is started: on what ports and cores, with which routes, settings, options and files.

use super::Server;
use crate::directory::Directory;
use crate::innocent::Innocent;
use crate::parting::Parting;
use crate::port::Port;
use crate::process::Process;
use crate::tls;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;

/// A server that is not started yet. Each is given free ports; whoever needs no others says nothing of them.
pub struct Launch {
    source: Source,
    /// The words of a command line that starts the program, if it is not the one that cargo has built.
    program: Vec<String>,
    cores: usize,
    /// Whether the file says how many cores, and no option.
    has_cores_in_file: bool,
    options: Vec<String>,
    files: Vec<(String, String)>,
    token: String,
    environment: Vec<(String, String)>,
    handed: Vec<(String, OwnedFd)>,
    udp: Option<Port>,
    has_tls: bool,
    is_at_terminal: bool,
}

/// Where the configuration comes from.
enum Source {
    /// Routes, and lines of TOML that begin within `[proxy]`.
    Settings { routes: Vec<String>, text: String },
    /// A whole file, which names its own ports: the option it is given by, and its name.
    File { option: String, name: String },
}

impl Launch {
    /// A server with this line of routes.
    pub fn route(line: &str) -> Launch {
        Launch::from(Source::Settings { routes: vec![line.to_owned()], text: String::new() })
    }

    /// A server before the application that is built in, which has streams (`/hold?channel=NAME`), events, polls and
    /// WebSockets (`/socket?channel=NAME`).
    pub fn demo() -> Launch {
        Launch::route("* demo,over_http")
    }

    /// A server that takes everything from the file `name`, which [`file`](Launch::file) adds, by `option`, which is
    /// `--config` or `--pushpin-conf`. The file has to name `CLIENTS` and `CONTROL`.
    pub fn configured(option: &str, name: &str) -> Launch {
        Launch::from(Source::File { option: option.to_owned(), name: name.to_owned() })
    }

    fn from(source: Source) -> Launch {
        let (program, options, files, token) = (Vec::new(), Vec::new(), Vec::new(), "secret".to_owned());
        let (cores, has_cores_in_file, udp, has_tls) = (2, false, None, false);
        let (environment, handed) = (Vec::new(), Vec::new());
        Launch {
            source,
            program,
            cores,
            has_cores_in_file,
            options,
            files,
            token,
            environment,
            handed,
            udp,
            has_tls,
            is_at_terminal: false,
        }
    }

    /// One more line of routes.
    pub fn and_route(mut self, line: &str) -> Launch {
        match &mut self.source {
            Source::Settings { routes, .. } => routes.push(line.to_owned()),
            Source::File { .. } => panic!("a file has its own routes"),
        }
        self
    }

    /// Lines of TOML that begin within `[proxy]`, and may have further sections.
    pub fn settings(mut self, lines: &str) -> Launch {
        match &mut self.source {
            Source::Settings { text, .. } => *text += &format!("{lines}\n"),
            Source::File { .. } => panic!("a file has its own settings"),
        }
        self
    }

    /// On so many cores instead of two. They may be more than the machine has.
    pub fn cores(mut self, cores: usize) -> Launch {
        self.cores = cores;
        self
    }

    /// On so many cores, as the configuration says: it may be changed to others.
    pub fn cores_in_file(mut self, cores: usize) -> Launch {
        (self.cores, self.has_cores_in_file) = (cores, true);
        self
    }

    /// Starts `words` instead of the program that cargo has built: a copy of it, perhaps by way of another program.
    pub fn program(mut self, words: &[&str]) -> Launch {
        self.program = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// More options of the command line.
    pub fn options(mut self, options: &[&str]) -> Launch {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// A file beside the configuration. In it the words `CLIENTS`, `CONTROL`, `UDP` and `TLS` are addresses of ports,
    /// `HOST` is the host of all of them and `CONTROL_PORT` a number.
    pub fn file(mut self, name: &str, text: &str) -> Launch {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// With a variable in its environment.
    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Hands `socket` over, as the service manager of a socket unit called `name` does (LISTEN_FDS).
    pub fn hand_over(mut self, name: &str, socket: impl Into<OwnedFd>) -> Launch {
        self.handed.push((name.to_owned(), socket.into()));
        self
    }

    /// With a port for datagrams.
    pub fn udp(self) -> Launch {
        self.udp_at(Port::claim())
    }

    /// With this port for datagrams.
    pub fn udp_at(mut self, port: Port) -> Launch {
        self.udp = Some(port);
        self
    }

    /// With a port for TLS, and certificates that [`tls::handshake`] trusts: of [`tls::EXACT`], below `secure.test`,
    /// and for all other names.
    pub fn tls(mut self) -> Launch {
        self.has_tls = true;
        self
    }

    /// The token with which the harness asks the control port, which must be one of `admin`. It is `secret` otherwise,
    /// so a test that sets `bearer_token = "secret"` need not say so.
    pub fn token(mut self, token: &str) -> Launch {
        token.clone_into(&mut self.token);
        self
    }

    /// Its outputs are a terminal.
    pub fn at_terminal(mut self) -> Launch {
        self.is_at_terminal = true;
        self
    }

    /// Starts it and waits until it serves.
    pub fn start(self) -> Server {
        self.try_start().unwrap_or_else(|why| panic!("the server does not run: {why}"))
    }

    /// The same; says why if it does not.
    pub fn try_start(mut self) -> Result<Server, String> {
        allow_many_sockets();
        let [clients, control] = [Port::claim(), Port::claim()];
        let (udp, tls) = (self.udp.take(), self.has_tls.then(Port::claim));
        let address = |port: &Option<Port>| port.as_ref().map(Port::address);
        let (udp_address, tls_address) = (address(&udp), address(&tls));
        let words = words(clients.address(), control.address(), udp_address, tls_address);
        let directory = Directory::new("server");
        for (name, text) in &self.files {
            directory.write(name, &filled_in(text, &words));
        }
        let mut command = match self.program.split_first() {
            Some((first, words)) => with_words(first, words),
            None => gripwire(),
        };
        command.arg("serve").current_dir(directory.path());
        self.configure(&mut command, &directory, &words);
        command.envs(self.environment.drain(..));
        let (names, sockets): (Vec<_>, Vec<_>) = std::mem::take(&mut self.handed).into_iter().unzip();
        if !names.is_empty() {
            command = with_sockets(&command, &names);
        }
        let start = if self.is_at_terminal { Process::start_at_terminal } else { Process::start_with };
        let process = start(&command, sockets, Parting::Kill, &directory.file("log"))?;
        let mut server = Server {
            process,
            directory,
            cores: self.cores,
            token: self.token,
            words,
            clients: clients.address(),
            tls: tls_address,
            control: control.address(),
            udp: udp_address,
            _ports: [Some(clients), Some(control), udp, tls].into_iter().flatten().collect(),
        };
        server.await_start()?;
        Ok(server)
    }

    /// Gives `command` the configuration, the ports and the options.
    fn configure(&self, command: &mut Command, directory: &Directory, words: &Words) {
        let word = |name: &str| words.iter().find(|(known, _)| *known == name).map(|(_, text)| text);
        match &self.source {
            Source::Settings { routes, text } => {
                // The innocent's channels are given up soon, as tests wait until nothing is left.
                let is_innocent = routes.iter().any(|route| route == Innocent::ROUTE);
                let linger = match is_innocent && !text.contains("[channels]") {
                    true => "channels.linger_ms = 500\n",
                    false => "",
                };
                let head = format!("log.level = \"error\"\n{linger}[proxy]\nroutes = {routes:?}\n");
                directory.write("gripwire.toml", &filled_in(&(head + text), words));
                command.arg("--config").arg(directory.file("gripwire.toml"));
                command.args(["--listen", word("CLIENTS").expect("a port")]);
                command.args(["--control", word("CONTROL").expect("a port")]);
            }
            Source::File { option, name } => {
                command.arg(option).arg(directory.file(name));
            }
        }
        if !self.has_cores_in_file {
            command.args(["--cores", &self.cores.to_string()]);
        }
        command.args(["--udp", word("UDP").map_or("false", String::as_str)]);
        if let Some(address) = word("TLS") {
            let certificates = directory.file("certificates");
            tls::issue_all(&certificates, address.parse().expect("an address"));
            command.args(["--tls-listen", address]).arg("--certificates").arg(certificates);
        }
        command.args(&self.options);
    }
}

/// The same command with the variables of sockets that are handed over. A shell knows the process's id.
fn with_sockets(command: &Command, names: &[String]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"LISTEN_PID=$$ exec "$0" "$@""#]).arg(command.get_program()).args(command.get_args());
    shell.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell
}

/// What words in files stand for.
pub(super) type Words = Vec<(&'static str, String)>;

fn words(
    clients: SocketAddr,
    control: SocketAddr,
    udp: Option<SocketAddr>,
    tls: Option<SocketAddr>,
) -> Words {
    // The longer ones first, as they begin with others.
    let mut words = vec![
        ("CONTROL_PORT", control.port().to_string()),
        ("CONTROL", control.to_string()),
        ("CLIENTS", clients.to_string()),
        ("HOST", clients.ip().to_string()),
    ];
    words.extend(udp.map(|address| ("UDP", address.to_string())));
    words.extend(tls.map(|address| ("TLS", address.to_string())));
    words
}

pub(super) fn filled_in(text: &str, words: &Words) -> String {
    words.iter().fold(text.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
}

/// The server's program, as a command without arguments. Cargo builds it with the tests of the package `gripwire`.
pub fn gripwire() -> Command {
    let told = std::env::var_os("CARGO_BIN_EXE_gripwire").map(PathBuf::from);
    let program = told.unwrap_or_else(|| {
        // target/PROFILE/deps/TEST stands beside target/PROFILE/gripwire.
        let test = std::env::current_exe().expect("a path of this program");
        test.ancestors().nth(2).expect("a folder of the profile").join("gripwire")
    });
    with_words(program, &[])
}

fn with_words(program: impl AsRef<std::ffi::OsStr>, words: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(words).env_remove("GRIP_URL");
    command
}

/// Lets the test have as many sockets as the system allows: those of attacks have thousands.
fn allow_many_sockets() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a valid structure of this thread.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}
