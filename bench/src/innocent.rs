//! A client that sends one request after the other while other clients cause load, and measures the time to each answer.

use crate::servers::PATIENCE;
use anyhow::ensure;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

/// A client with one connection.
pub struct Innocent(TcpStream);

impl Innocent {
    /// Connects.
    pub fn connect(address: SocketAddrV4) -> anyhow::Result<Innocent> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Innocent(socket))
    }

    /// Measures the time to an answer, and pauses.
    pub fn probe(&mut self) -> anyhow::Result<Duration> {
        let asked = Instant::now();
        self.0.write_all(b"HEAD / HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let (mut answer, mut block) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"\r\n\r\n") {
            let count = self.0.read(&mut block)?;
            ensure!(count > 0, "an innocent client was closed");
            answer.extend_from_slice(&block[..count]);
        }
        ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
        let took = asked.elapsed();
        std::thread::sleep(REST);
        Ok(took)
    }
}

/// A duration in milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The slowest of `probes`, ms.
pub fn slowest_ms(probes: &[Duration]) -> f64 {
    probes.iter().map(|probe| ms(*probe)).fold(0.0, f64::max)
}

/// Pause between two probes.
const REST: Duration = Duration::from_millis(1);
