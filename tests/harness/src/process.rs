//! Programs under test, none of which outlives the tests.
//!
//! A [`Process`] ends its program when it is dropped, and [`crate::parting`] ends those that are not dropped. If the
//! test process itself is killed, the kernel sends the parting signals (PR_SET_PDEATHSIG). It does so when the *thread*
//! that started a program ends, which is why one thread that never ends starts them all.

use crate::deadline::await_some;
use crate::log::Log;
use crate::parting::{self, PARTING_TIME, Parting};
use std::io::PipeReader;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// A running program with what it has written.
pub struct Process {
    child: Child,
    parting: Parting,
    /// Both its outputs.
    pub log: Log,
}

impl Process {
    /// Starts `command`, whose outputs become the log, and the file `copy` where files are kept.
    pub fn start(command: &Command, parting: Parting, copy: &Path) -> Result<Process, String> {
        Process::start_with(command, Vec::new(), parting, copy)
    }

    /// The same, and hands `descriptors` over: the program has them as 3, 4 and so on.
    pub fn start_with(
        command: &Command,
        descriptors: Vec<OwnedFd>,
        parting: Parting,
        copy: &Path,
    ) -> Result<Process, String> {
        let (reader, writer) = std::io::pipe().map_err(|error| format!("no pipe: {error}"))?;
        Process::start_on((reader, writer.into()), command, descriptors, parting, copy)
    }

    /// The same at a terminal.
    pub fn start_at_terminal(
        command: &Command,
        descriptors: Vec<OwnedFd>,
        parting: Parting,
        copy: &Path,
    ) -> Result<Process, String> {
        let (mut near, mut far) = (0, 0);
        let (name, settings, size) = (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
        // SAFETY: the call is given places for two descriptors, which it opens.
        if unsafe { libc::openpty(&mut near, &mut far, name, settings, size) } != 0 {
            return Err(format!("no terminal: {}", std::io::Error::last_os_error()));
        }
        // SAFETY: the descriptors were just opened, and nobody else has them.
        let (near, far) = unsafe { (OwnedFd::from_raw_fd(near), OwnedFd::from_raw_fd(far)) };
        Process::start_on((near.into(), far), command, descriptors, parting, copy)
    }

    fn start_on(
        (near, far): (PipeReader, OwnedFd),
        command: &Command,
        descriptors: Vec<OwnedFd>,
        parting: Parting,
        copy: &Path,
    ) -> Result<Process, String> {
        let second = far.try_clone().map_err(|error| format!("no second end of the output: {error}"))?;
        let child = spawn(command, [Stdio::null(), far.into(), second.into()], descriptors, parting)?;
        Ok(Process { child, parting, log: Log::read(near, copy) })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child that can be waited for")?;
        parting::forget_child(self.child.id() as i32);
        Some(status)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        parting::send(self.child.id() as i32, signal)
            .unwrap_or_else(|error| panic!("signal {signal}: {error}"));
    }

    /// Stops it (SIGSTOP); returns when none of its threads runs. SIGCONT has it go on.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let (pid, mut status) = (self.child.id() as i32, 0);
        // SAFETY: a child that was not waited for yet, and a valid place for its status.
        let stopped = unsafe { libc::waitpid(pid, &mut status, libc::WUNTRACED) };
        assert!(stopped == pid && libc::WIFSTOPPED(status), "the program ended");
    }

    /// Waits for its end.
    pub fn await_end(&mut self) -> ExitStatus {
        await_some("the program's end", || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child, self.parting);
        if std::thread::panicking() {
            eprintln!("the log of process {} ends:\n{}", self.child.id(), self.log.tail());
        }
    }
}

/// Starts a child with these for its input, output and errors, and for the descriptors behind them, which gets its
/// parting signal should the test process die.
pub(crate) fn spawn(
    command: &Command,
    stdio: [Stdio; 3],
    descriptors: Vec<OwnedFd>,
    parting: Parting,
) -> Result<Child, String> {
    static KEEPER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let program = command.get_program().to_string_lossy().into_owned();
    let (report, result) = channel();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, received) = channel::<Order>();
        std::thread::spawn(move || received.iter().for_each(|order| order()));
        Mutex::new(orders)
    });
    let mut command = copy_of(command);
    let [input, output, errors] = stdio;
    let order = Box::new(move || {
        let command = command.stdin(input).stdout(output).stderr(errors);
        let _ = report.send(spawn_here(command, descriptors, parting));
    });
    keeper.lock().expect("no sender panics").send(order).expect("the keeper never ends");
    let child = result.recv().expect("the keeper reports").map_err(|error| format!("{program}: {error}"))?;
    parting::note_child(child.id() as i32, parting);
    Ok(child)
}

/// Makes a child of [`spawn`] end, and waits for it.
pub(crate) fn end(child: &mut Child, parting: Parting) {
    let pid = child.id() as i32;
    parting::forget_child(pid);
    if parting == Parting::Terminate && matches!(child.try_wait(), Ok(None)) {
        let _ = parting::send(pid, libc::SIGTERM);
        let deadline = Instant::now() + PARTING_TIME;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5)); // Between looks: an end cannot be awaited with a bound.
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The same command, to be sent to the keeper.
fn copy_of(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        copy.current_dir(directory);
    }
    copy
}

type Order = Box<dyn FnOnce() + Send>;

fn spawn_here(command: &mut Command, descriptors: Vec<OwnedFd>, parting: Parting) -> std::io::Result<Child> {
    let signal = parting.signal();
    // SAFETY: fcntl and dup2 are bare system calls, safe between fork and exec; the closure owns what it uses.
    unsafe {
        command.pre_exec(move || hand_over(&descriptors));
    }
    // SAFETY: prctl is a bare system call, safe between fork and exec; the closure touches nothing else.
    unsafe {
        command.pre_exec(move || match libc::prctl(libc::PR_SET_PDEATHSIG, signal) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    command.spawn()
}

/// Makes `descriptors` those of the numbers from 3 on, in a child that is about to run its program.
fn hand_over(descriptors: &[OwnedFd]) -> std::io::Result<()> {
    let check = |outcome: i32| match outcome {
        -1 => Err(std::io::Error::last_os_error()),
        number => Ok(number),
    };
    // First out of the way, because one of them may have the number of another.
    for (number, descriptor) in (ASIDE..).zip(descriptors) {
        // SAFETY: a bare system call, which takes no pointer.
        check(unsafe { libc::dup3(descriptor.as_raw_fd(), number, libc::O_CLOEXEC) })?;
    }
    for index in 0..descriptors.len() as i32 {
        // SAFETY: a bare system call, which takes no pointer.
        check(unsafe { libc::dup2(ASIDE + index, FIRST_HANDED + index) })?;
    }
    Ok(())
}

/// The first descriptor behind input, output and errors.
const FIRST_HANDED: i32 = 3;
/// Where descriptors are put aside: behind those that a test has.
const ASIDE: i32 = 900;
