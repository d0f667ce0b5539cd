//! One HTTP/1.1 connection that is kept open, and opened again when the server has closed it. What is sent over it is
//! no matter of this module.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{HeaderValue, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::{Error, Result};

/// Why there is no answer: the connection could not be made, or broke.
pub(super) type Broken = Box<dyn std::error::Error + Send + Sync>;
type Answered<T> = std::result::Result<T, Broken>;

/// Where a replica listens.
pub(super) struct Endpoint {
    host: String,
    port: u16,
    /// What goes into `Host`.
    pub(super) authority: HeaderValue,
}

impl Endpoint {
    /// Reads `http://host:port`.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong = || Error::invalid(format!("{url:?} is no address of a bus. It looks like http://127.0.0.1:5000."));
        let uri: Uri = url.trim().parse().map_err(|_| wrong())?;
        if uri.scheme_str() != Some("http") || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong());
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        Ok(Self {
            // An IPv6 address stands in brackets in a URL and without them in a lookup.
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
        })
    }
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `Retry-After`, if it is there in seconds.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

/// A connection to one replica. One request at a time.
pub(super) struct Connection {
    pub(super) endpoint: Rc<Endpoint>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Opens one, so that a wrong address is told at once and connecting is no part of what is measured.
    pub(super) async fn open(endpoint: Rc<Endpoint>) -> Result<Self> {
        let sender = connect(&endpoint).await.map_err(|error| {
            Error::invalid(format!("Nobody answers at {}:{}. Is the bus running there?", endpoint.host, endpoint.port))
                .because(error)
        })?;
        Ok(Self { endpoint, sender: Some(sender) })
    }

    /// Sends a request and reads the answer. A request that the server cannot have seen, because it had closed the
    /// connection before, goes over a new one.
    pub(super) async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Answered<Answer> {
        loop {
            let kept = self.sender.take().filter(|sender| !sender.is_closed());
            let reused = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => connect(&self.endpoint).await?,
            };
            match sender.ready().await {
                Ok(()) => {}
                Err(_) if reused => continue,
                Err(error) => return Err(error.into()),
            }
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let answer = read(response).await?;
                    self.sender = Some(sender);
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(error.into_error().into()),
                },
            }
        }
    }
}

async fn connect(endpoint: &Endpoint) -> Answered<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender. Whoever waits for an answer hears of an error, too.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

async fn read(response: Response<Incoming>) -> Answered<Answer> {
    let (head, body) = response.into_parts();
    let seconds = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = body.collect().await?.to_bytes();
    Ok(Answer { status: head.status, retry_after: seconds.map(Duration::from_secs), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() -> Result<()> {
        for (url, host, port) in [
            ("http://127.0.0.1:5000", "127.0.0.1", 5000),
            ("http://bus.example/", "bus.example", 80),
            ("http://[::1]:5001", "::1", 5001),
        ] {
            let endpoint = Endpoint::parse(url)?;
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port), "{url}");
        }
        for url in ["", "127.0.0.1:5000", "https://bus.example", "http://bus.example/base", "http://bus.example/?a=b"] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
        Ok(())
    }
}
