//! A connection for publish calls, by HTTP or UDP. HTTP calls are pipelined as far as the server allows; if the server closes
//! the connection after an answer, a new one is opened. UDP datagrams are not answered.

use super::error::PublishError;
use super::plan::{PublishPlan, Via};
use crate::decode::head;
use crate::sys;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

pub(super) struct Connection {
    address: SocketAddr,
    socket: Socket,
    /// Number of calls without an answer.
    in_flight: usize,
    limit: usize,
    outlives_server: bool,
    answers: Vec<u8>,
}

enum Socket {
    /// `None` if the server has closed the connection and no call has been sent since.
    Http(Option<TcpStream>),
    Udp(UdpSocket),
}

impl Connection {
    pub fn open(plan: &PublishPlan) -> Result<Connection, PublishError> {
        let address = plan.address;
        let connect = |error| PublishError::Connect { address, error };
        let socket = match plan.via {
            Via::Http => Socket::Http(Some(dial(address)?)),
            Via::Udp => Socket::Udp(udp(address).map_err(connect)?),
        };
        let limit = plan.calls_in_flight.unwrap_or(plan.target.calls_in_flight()).max(1);
        let outlives_server = plan.outlives_server;
        Ok(Connection { address, socket, in_flight: 0, limit, outlives_server, answers: Vec::new() })
    }

    /// Waits until `at_ns`, and takes answers that arrive meanwhile.
    ///
    /// # Errors
    /// The connection failed, or a call was refused.
    pub fn wait_until(&mut self, at_ns: u64) -> Result<(), PublishError> {
        loop {
            let left_ns = at_ns.saturating_sub(sys::now_ns());
            if left_ns == 0 {
                return Ok(());
            }
            match &self.socket {
                Socket::Http(Some(stream)) if self.in_flight > 0 => {
                    if sys::await_readable(stream, left_ns).map_err(PublishError::Broken)? {
                        self.take_answers()?;
                    }
                }
                _ => std::thread::sleep(Duration::from_nanos(left_ns)),
            }
        }
    }

    /// Waits until fewer calls than the limit are in flight, and sends a call.
    ///
    /// # Errors
    /// The connection failed, or a call was refused.
    pub fn send(&mut self, call: &[u8]) -> Result<(), PublishError> {
        while self.in_flight >= self.limit {
            self.take_answers()?;
        }
        self.notice_the_end()?;
        let stream = match &mut self.socket {
            Socket::Udp(socket) => {
                return match socket.send(call) {
                    // The answer of the kernel to an earlier datagram.
                    Err(error)
                        if self.outlives_server && error.kind() == io::ErrorKind::ConnectionRefused =>
                    {
                        Ok(())
                    }
                    sent => sent.map(drop).map_err(PublishError::Broken),
                };
            }
            Socket::Http(Some(stream)) => stream,
            Socket::Http(closed) => closed.insert(dial(self.address)?),
        };
        stream.write_all(call).map_err(PublishError::Broken)?;
        self.in_flight += 1;
        Ok(())
    }

    /// Notices that the server has closed the connection, for instance because it was idle during a long opening.
    fn notice_the_end(&mut self) -> Result<(), PublishError> {
        match &self.socket {
            Socket::Http(Some(stream)) if self.in_flight == 0 => {
                match sys::await_readable(stream, 0).map_err(PublishError::Broken)? {
                    true => self.take_answers(),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Waits until all calls are answered.
    ///
    /// # Errors
    /// The connection failed, or a call was refused.
    pub fn finish(&mut self) -> Result<(), PublishError> {
        while self.in_flight > 0 {
            self.take_answers()?;
        }
        Ok(())
    }

    /// Waits for input and takes complete answers.
    fn take_answers(&mut self) -> Result<(), PublishError> {
        let Socket::Http(Some(stream)) = &mut self.socket else {
            self.in_flight = 0;
            return Ok(());
        };
        let mut part = [0; 16 << 10];
        let length = stream.read(&mut part).map_err(unanswered)?;
        self.answers.extend_from_slice(&part[..length]);
        let mut keeps = length > 0;
        while let Some((used, keeps_on)) = answer(&mut self.answers)? {
            self.answers.drain(..used);
            self.in_flight = self.in_flight.saturating_sub(1);
            keeps &= keeps_on;
        }
        if keeps {
            return Ok(());
        }
        self.socket = Socket::Http(None);
        self.answers.clear();
        if self.in_flight > 0 {
            let problem = format!("the server closed a connection with {} calls unanswered", self.in_flight);
            return Err(PublishError::Broken(io::Error::other(problem)));
        }
        Ok(())
    }
}

fn unanswered(error: io::Error) -> PublishError {
    match error.kind() {
        io::ErrorKind::WouldBlock => {
            let problem = format!("no answer to a publish call within {} s", PATIENCE.as_secs());
            PublishError::Broken(io::Error::other(problem))
        }
        _ => PublishError::Broken(error),
    }
}

/// The length of the first answer, and whether the connection is kept after it; `None` until the answer is complete.
fn answer(answers: &mut [u8]) -> Result<Option<(usize, bool)>, PublishError> {
    let malformed = |error| PublishError::Broken(io::Error::other(error));
    let Some(head) = head::read(answers).map_err(malformed)? else { return Ok(None) };
    let (mut body, mut content) = (head.body, answers[head.length..].to_vec());
    let taken = body.take(&mut content).map_err(malformed)?;
    if !(200..300).contains(&head.status) {
        let said = String::from_utf8_lossy(&content[..taken.body.min(200)]);
        return Err(PublishError::Refused { status: head.status, body: said.trim().to_owned() });
    }
    Ok(body.ended().then_some((head.length + taken.used, head.keeps)))
}

fn dial(address: SocketAddr) -> Result<TcpStream, PublishError> {
    let connected = TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    });
    connected.map_err(|error| PublishError::Connect { address, error })
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(address)?;
    Ok(socket)
}

/// Time a server may take to accept a connection or to answer a call.
const PATIENCE: Duration = Duration::from_secs(30);
