//! One connection to an application: name, TCP, TLS and hyper's handshake, within the connect timeout as a whole.

use super::hyper_io::HyperIo;
use super::pool::Place;
use super::request::RequestBody;
use super::resolve::Resolver;
use super::tls::Tls;
use futures_lite::io::{AsyncRead, AsyncWrite};
use futures_rustls::TlsConnector;
use futures_rustls::rustls::pki_types::ServerName;
use glommio::net::TcpStream;
use hyper::client::conn::http1::{Builder, SendRequest};
use std::io;

/// The sending half of a connection.
pub(super) type Sender = SendRequest<RequestBody>;

/// Connects to `place`.
pub(super) async fn connect(place: &Place, resolver: &Resolver, tls: &Tls) -> io::Result<Sender> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in resolver.resolve(&place.host, place.port).await? {
        match TcpStream::connect(address).await {
            Ok(socket) => {
                // Without it small requests wait for acknowledgements; failing to set it is only slow.
                let _ = socket.set_nodelay(true);
                return secure(socket, place, tls).await;
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

async fn secure(socket: TcpStream, place: &Place, tls: &Tls) -> io::Result<Sender> {
    let Some(security) = &place.tls else { return handshake(socket).await };
    let config = tls.config(security.insecure).map_err(io::Error::other)?;
    let name = ServerName::try_from(security.name.clone()).map_err(io::Error::other)?;
    handshake(TlsConnector::from(config).connect(name, socket).await?).await
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin + 'static>(socket: S) -> io::Result<Sender> {
    let handshake = Builder::new().title_case_headers(true).handshake(HyperIo::new(socket)).await;
    let (sender, connection) = handshake.map_err(io::Error::other)?;
    glommio::spawn_local(async move {
        // What goes wrong here reaches whoever waits for the answer; an idle connection may just end.
        let _ = connection.await;
    })
    .detach();
    Ok(sender)
}
