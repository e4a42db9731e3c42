//! The kernel floor: what a loop of send(2) to the same sockets costs. Obeys lines on standard input: `accept N` is
//! answered with `ready`, `send TIMES BYTES` with the nanoseconds of CPU the loop took.

use anyhow::{Context, ensure};
use std::io::{BufRead, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// Says `port N`, and obeys.
pub fn run() -> anyhow::Result<()> {
    crate::process::pin(crate::scenarios::SERVER_CPU)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // SAFETY: the listener's own descriptor; a second listen only changes its queue.
    unsafe { libc::listen(listener.as_raw_fd(), 65_535) };
    println!("port {}", listener.local_addr()?.port());
    let mut clients: Vec<TcpStream> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["accept", count] => {
                for _ in 0..count.parse::<usize>()? {
                    let (client, _) = listener.accept()?;
                    client.set_nodelay(true)?;
                    clients.push(client);
                }
                println!("ready");
            }
            ["send", times, bytes] => {
                let message = vec![b'x'; bytes.parse()?];
                println!("cpu_ns {}", send(&clients, times.parse()?, &message)?);
            }
            _ => anyhow::bail!("an unknown order: {line}"),
        }
        std::io::stdout().flush().context("the parent is gone")?;
    }
    Ok(())
}

fn send(clients: &[TcpStream], times: usize, message: &[u8]) -> anyhow::Result<u64> {
    let before = crate::process::thread_cpu_ns();
    for _ in 0..times {
        for client in clients {
            // SAFETY: the message outlives the call.
            let sent = unsafe {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                libc::send(client.as_raw_fd(), message.as_ptr().cast(), message.len(), flags)
            };
            ensure!(sent == message.len() as isize, "a send fell short: {}", std::io::Error::last_os_error());
        }
    }
    Ok(crate::process::thread_cpu_ns() - before)
}
