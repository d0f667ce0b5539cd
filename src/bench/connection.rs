//! One HTTP/1.1 connection that is kept open, and opened again when the server has closed it. What is sent over it is
//! no matter of this module.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    time::Duration,
};

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
pub(crate) type Broken = Box<dyn std::error::Error + Send + Sync>;
type Answered<T> = std::result::Result<T, Broken>;

/// Where a replica listens.
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    /// What goes into `Host`.
    pub(crate) authority: HeaderValue,
}

impl Endpoint {
    /// Reads `http://host:port`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
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
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// `Retry-After`, if it is there in seconds.
    pub(super) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// A connection to one replica. One request at a time.
pub(crate) struct Connection {
    pub(crate) endpoint: Rc<Endpoint>,
    open: Option<Open>,
}

/// A connection that is open, as far as is known.
struct Open {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
}

/// What reads and writes, while it is polled and not else. It has no task of its own: that would be woken for every
/// request and every answer, besides the task that waits for it.
struct Driver {
    connection: Pin<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
    ended: bool,
}

impl Driver {
    /// Reads and writes until this is done.
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            // An error is told to whoever waits for an answer, too.
            self.ended = self.ended || self.connection.as_mut().poll(context).is_ready();
            work.as_mut().poll(context)
        })
        .await
    }
}

impl Connection {
    /// Opens one, so that a wrong address is told at once and connecting is no part of what is measured.
    pub(crate) async fn open(endpoint: Rc<Endpoint>) -> Result<Self> {
        let open = connect(&endpoint).await.map_err(|error| {
            Error::invalid(format!("Nobody answers at {}:{}. Is the bus running there?", endpoint.host, endpoint.port))
                .because(error)
        })?;
        Ok(Self { endpoint, open: Some(open) })
    }

    /// Sends a request and reads the answer. A request that the server cannot have seen, because it had closed the
    /// connection before, goes over a new one.
    pub(crate) async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Answered<Answer> {
        loop {
            let kept = self.open.take().filter(|open| !open.sender.is_closed());
            let reused = kept.is_some();
            let mut open = match kept {
                Some(open) => open,
                None => connect(&self.endpoint).await?,
            };
            match open.driver.drive(exchange(&mut open.sender, request)).await {
                Ok(answer) => {
                    self.open = Some(open);
                    return Ok(answer);
                }
                Err((_, Some(unsent))) if reused => request = *unsent,
                Err((broken, _)) => return Err(broken),
            }
        }
    }
}

/// Sends one request and reads the answer. With an error comes the request, if none of it was sent.
async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> std::result::Result<Answer, (Broken, Option<Box<Request<Full<Bytes>>>>)> {
    if let Err(error) = sender.ready().await {
        return Err((error.into(), Some(Box::new(request))));
    }
    match sender.try_send_request(request).await {
        Ok(response) => read(response).await.map_err(|broken| (broken, None)),
        Err(mut error) => {
            let unsent = error.take_message().map(Box::new);
            Err((error.into_error().into(), unsent))
        }
    }
}

async fn connect(endpoint: &Endpoint) -> Answered<Open> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = Driver { connection: Box::pin(connection), ended: false };
    Ok(Open { sender, driver })
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
