//! The kernel floor: the cost of a loop of send(2). A process accepts connections and follows orders on standard input:
//! `count` is answered with the number of connections, `send TIMES BYTES` with the CPU time of the loop in nanoseconds. For
//! more connections than the limit of open files allows, several processes send one after the other.

use super::running::CONNECTIONS_PER_PROCESS;
use crate::process::{Helper, SERVER_CPU, thread_cpu_ns};
use anyhow::{Context, ensure};
use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

/// The processes of the floor, seen from the program that starts them.
pub struct Floor {
    processes: Vec<Helper>,
    /// Addresses for clients, used in turn.
    pub addresses: Vec<SocketAddrV4>,
}

impl Floor {
    /// Starts as many processes as `connections` need.
    pub fn start(connections: u32) -> anyhow::Result<Floor> {
        let (mut processes, mut addresses) = (Vec::new(), Vec::new());
        for _ in 0..connections.div_ceil(CONNECTIONS_PER_PROCESS).max(1) {
            let mut process = Helper::start(&["floor"], SERVER_CPU)?;
            let port = process.line()?.strip_prefix("port ").context("no port")?.parse()?;
            addresses.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
            processes.push(process);
        }
        Ok(Floor { processes, addresses })
    }

    /// Waits until `connections` are accepted. Clients see an open connection before it is accepted.
    pub fn await_connections(&mut self, connections: u32) -> anyhow::Result<()> {
        loop {
            let mut accepted = 0;
            for process in &mut self.processes {
                accepted += process.order("count")?.parse::<u32>()?;
            }
            if accepted >= connections {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Sends `bytes` to every client, `times` times. Returns the CPU time, ns.
    pub fn send(&mut self, times: u64, bytes: usize) -> anyhow::Result<u64> {
        let mut sum = 0;
        for process in &mut self.processes {
            let answer = process.order(&format!("send {times} {bytes}"))?;
            sum += answer
                .strip_prefix("cpu_ns ")
                .with_context(|| format!("the floor answered {answer}"))?
                .parse::<u64>()?;
        }
        Ok(sum)
    }
}

/// The floor's process: prints `port N` and follows orders.
pub fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // SAFETY: the listener's own descriptor; a second listen only changes its queue.
    unsafe { libc::listen(listener.as_raw_fd(), 65_535) };
    println!("port {}", listener.local_addr()?.port());
    let clients: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let accepted = clients.clone();
    std::thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let _ = client.set_nodelay(true);
            accepted.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
    });
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        match words.as_slice() {
            ["count"] => println!("{}", clients.len()),
            ["send", times, bytes] => {
                let message = vec![b'x'; bytes.parse()?];
                println!("cpu_ns {}", send(&clients, times.parse()?, &message)?);
            }
            _ => anyhow::bail!("an unknown order: {line}"),
        }
        std::io::stdout().flush().context("the parent has ended")?;
    }
    Ok(())
}

fn send(clients: &[TcpStream], times: usize, message: &[u8]) -> anyhow::Result<u64> {
    let before = thread_cpu_ns();
    for _ in 0..times {
        for client in clients {
            // SAFETY: the message outlives the call.
            let sent = unsafe {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                libc::send(client.as_raw_fd(), message.as_ptr().cast(), message.len(), flags)
            };
            ensure!(
                sent == message.len() as isize,
                "a send was incomplete: {}",
                std::io::Error::last_os_error()
            );
        }
    }
    Ok(thread_cpu_ns() - before)
}
