//! One HTTP/1.1 connection that is kept open, and opened again when the server has closed it. What is sent over it is
//! no matter of this module.
//!
//! Heads are read by httparse; the rest is written here, since a client for every purpose takes more of the processor than all
//! else that the load generator does for a request, on the machine whose server is to be measured.

use std::{io::ErrorKind, rc::Rc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use http::{
    Request, StatusCode, Uri,
    header::{CONNECTION, CONTENT_LENGTH, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::error::{Error, Result};

/// Header fields that an answer may have.
const FIELDS: usize = 64;
/// Bytes that its head may have.
const HEAD: usize = 64 << 10;
/// What is made ready for an answer, in bytes.
const READ: usize = 4 << 10;

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
    open: Option<TcpStream>,
    /// What is to be written, then what was read and not yet understood.
    buffer: BytesMut,
}

impl Connection {
    /// Opens one, so that a wrong address is told at once and connecting is no part of what is measured.
    pub(crate) async fn open(endpoint: Rc<Endpoint>) -> Result<Self> {
        let open = connect(&endpoint).await.map_err(|error| {
            Error::invalid(format!("Nobody answers at {}:{}. Is the bus running there?", endpoint.host, endpoint.port))
                .because(error)
        })?;
        Ok(Self { endpoint, open: Some(open), buffer: BytesMut::new() })
    }

    /// Sends a request, which may not be HEAD or CONNECT, and reads the answer. Where the server has closed the connection before, as
    /// far as is known here, the request goes over a new one.
    pub(crate) async fn send(&mut self, request: Request<Bytes>) -> Answered<Answer> {
        let mut stream = match self.open.take().filter(is_open) {
            Some(stream) => stream,
            None => connect(&self.endpoint).await?,
        };
        self.buffer.clear();
        write(&mut self.buffer, &request);
        let sent = stream.write_all(&self.buffer).await;
        self.buffer.clear();
        // What the server says before it has read everything is an answer, too.
        let (answer, keeps) = match (self.read(&mut stream).await, sent) {
            (Ok(read), Ok(())) => read,
            (Ok((answer, _)), Err(_)) => (answer, false),
            (Err(broken), Ok(())) => return Err(broken),
            (Err(_), Err(error)) => return Err(error.into()),
        };
        if keeps && self.buffer.is_empty() {
            self.open = Some(stream);
        }
        Ok(answer)
    }

    /// The answer, and whether the server leaves the connection open.
    async fn read(&mut self, stream: &mut TcpStream) -> Answered<(Answer, bool)> {
        let buffer = &mut self.buffer;
        let head = loop {
            match Head::parse(buffer)? {
                // Something is to come before the answer.
                Some(head) if head.status.is_informational() => buffer.advance(head.length),
                Some(head) => break head,
                None if buffer.len() > HEAD => return Err("the head of the answer is too long".into()),
                None => more(stream, buffer).await?,
            }
        };
        buffer.advance(head.length);
        let mut keeps = head.keeps;
        let body = match head.body {
            Body::Long(length) => {
                while buffer.len() < length {
                    more(stream, buffer).await?;
                }
                buffer.split_to(length)
            }
            Body::Chunked => {
                let mut body = BytesMut::new();
                while !take_chunks(buffer, &mut body)? {
                    more(stream, buffer).await?;
                }
                body
            }
            Body::ToTheEnd => {
                while stream.read_buf(buffer).await? > 0 {}
                keeps = false;
                buffer.split()
            }
        };
        Ok((Answer { status: head.status, retry_after: head.retry_after, body: body.freeze() }, keeps))
    }
}

async fn connect(endpoint: &Endpoint) -> Answered<TcpStream> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether the server has left a connection open on which nothing is to come.
fn is_open(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

async fn more(stream: &mut TcpStream, buffer: &mut BytesMut) -> Answered<()> {
    buffer.reserve(READ);
    if stream.read_buf(buffer).await? == 0 {
        Err("the server closed the connection before its answer had ended".into())
    } else {
        Ok(())
    }
}

/// Writes a request as it goes over the wire.
fn write(buffer: &mut BytesMut, request: &Request<Bytes>) {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    for part in [request.method().as_str(), " ", target, " HTTP/1.1\r\n"] {
        buffer.extend_from_slice(part.as_bytes());
    }
    let length = HeaderValue::from(request.body().len());
    for (name, value) in request.headers().iter().chain([(&CONTENT_LENGTH, &length)]) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            buffer.extend_from_slice(part);
        }
    }
    buffer.extend_from_slice(b"\r\n");
    buffer.extend_from_slice(request.body());
}

/// Where the body of an answer ends.
#[derive(Debug, PartialEq)]
enum Body {
    Long(usize),
    Chunked,
    ToTheEnd,
}

/// What the head of an answer says.
struct Head {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Body,
    /// The server leaves the connection open.
    keeps: bool,
    /// Its own, in bytes.
    length: usize,
}

impl Head {
    /// None: there is more of it to come.
    fn parse(text: &[u8]) -> Answered<Option<Self>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(length) = response.parse(text)? else { return Ok(None) };
        let status = StatusCode::from_u16(response.code.unwrap_or_default())?;
        let mut head =
            Self { status, retry_after: None, body: Body::ToTheEnd, keeps: response.version == Some(1), length };
        for field in response.headers.iter() {
            let value = str::from_utf8(field.value).unwrap_or_default().trim();
            let is = |name: &http::HeaderName| field.name.eq_ignore_ascii_case(name.as_str());
            if is(&CONTENT_LENGTH) && head.body != Body::Chunked {
                head.body = Body::Long(value.parse()?);
            } else if is(&TRANSFER_ENCODING) {
                head.body = Body::Chunked;
            } else if is(&CONNECTION) {
                head.keeps &= !value.split(',').any(|word| word.trim().eq_ignore_ascii_case("close"));
            } else if is(&RETRY_AFTER) {
                head.retry_after = value.parse().ok().map(Duration::from_secs);
            }
        }
        if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            head.body = Body::Long(0);
        }
        Ok(Some(head))
    }
}

/// Moves the chunks that are there into the body. True: the last one was among them.
fn take_chunks(buffer: &mut BytesMut, body: &mut BytesMut) -> Answered<bool> {
    loop {
        let size = httparse::parse_chunk_size(buffer).map_err(|_| "a chunk of the answer has no length")?;
        let httparse::Status::Complete((begin, length)) = size else { return Ok(false) };
        if length == 0 {
            // What may follow it are more fields; then an empty line, whose line before ends at `begin` or later.
            let Some(at) = buffer[begin - 2..].windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(false) };
            buffer.advance(begin + 2 + at);
            return Ok(true);
        }
        let end = usize::try_from(length)?.checked_add(begin).ok_or("a chunk of the answer is too long")?;
        let Some(chunk) = buffer.get(begin..end.saturating_add(2)) else { return Ok(false) };
        let chunk = chunk.strip_suffix(b"\r\n").ok_or("a chunk of the answer is not as long as it says")?;
        body.extend_from_slice(chunk);
        buffer.advance(end + 2);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    type Outcome = Answered<()>;

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

    /// A server that gives these answers, each to one request, in pieces of so many bytes, on as many connections as it is asked
    /// for. Ends the connection after an answer that ends with `|`. Gives how many connections were made.
    async fn serve(listener: TcpListener, answers: &[&str], piece: usize) -> Answered<usize> {
        let (mut connections, mut stream) = (0, None);
        for answer in answers {
            let mut open = if let Some(open) = stream.take() {
                open
            } else {
                connections += 1;
                listener.accept().await?.0
            };
            let mut asked = BytesMut::new();
            while !asked.ends_with(b"{}") {
                open.read_buf(&mut asked).await?;
            }
            let (text, ends) = answer.strip_suffix('|').map_or((*answer, false), |text| (text, true));
            for bytes in text.as_bytes().chunks(piece) {
                open.write_all(bytes).await?;
                tokio::task::yield_now().await;
            }
            stream = (!ends).then_some(open);
        }
        Ok(connections)
    }

    async fn listen() -> Answered<(TcpListener, Rc<Endpoint>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr()?))?;
        Ok((listener, Rc::new(endpoint)))
    }

    fn request() -> Request<Bytes> {
        Request::new(Bytes::from_static(b"{}"))
    }

    #[tokio::test]
    async fn answers_are_read_however_they_are_written_and_cut() -> Outcome {
        let answers = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
            ("HTTP/1.1 204 No Content\r\nretry-after: 7\r\n\r\n", ""),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length:2\r\n\r\nhi", "hi"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                "abc0123456789",
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nLater: yes\r\n\r\n", "a"),
            ("HTTP/1.0 200 OK\r\n\r\nto the end|", "to the end"),
            ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: x, close\r\n\r\n|", ""),
            // Not announced, but seen before the next request.
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nby|", "by"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew", "new"),
        ];
        for piece in [1, 7, 4096] {
            let (listener, endpoint) = listen().await?;
            let asking = async {
                let mut connection = Connection::open(endpoint).await?;
                for (answer, body) in answers {
                    let got = connection.send(request()).await?;
                    assert_eq!(got.body, body.as_bytes(), "{answer}");
                    assert_eq!(got.retry_after.is_some(), answer.contains("retry-after"), "{answer}");
                    if let (Some(closed), true) = (&connection.open, answer.ends_with('|')) {
                        closed.readable().await?;
                    }
                }
                Ok::<_, Broken>(())
            };
            let texts = answers.map(|(answer, _)| answer);
            let (connections, ()) = tokio::try_join!(serve(listener, &texts, piece), asking)?;
            assert_eq!(connections, 4, "closed three times");
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_nobody_asked_for_is_no_answer_to_the_next_request() -> Outcome {
        let (listener, endpoint) = listen().await?;
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n|",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo",
        ];
        let asking = async {
            let mut connection = Connection::open(endpoint).await?;
            let first = connection.send(request()).await?;
            let second = connection.send(request()).await?;
            Ok::<_, Broken>((first.body, second.body))
        };
        let asked = tokio::try_join!(serve(listener, &answers, 4096), asking)?;
        assert_eq!(asked, (2, (Bytes::from("one"), Bytes::from("two"))));
        Ok(())
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() -> Outcome {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD));
        for answer in [
            "|",
            "SSH-2.0-server\r\n|",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell|",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n|",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc\r\n|",
            long.as_str(),
        ] {
            let (listener, endpoint) = listen().await?;
            let asking = async {
                let mut connection = Connection::open(endpoint).await?;
                Ok::<_, Broken>(connection.send(request()).await.is_err())
            };
            let answers = [answer];
            let (_, failed) = tokio::try_join!(serve(listener, &answers, 4096), asking)?;
            assert!(failed, "{answer}");
        }
        Ok(())
    }

    #[test]
    fn a_request_has_its_fields_and_its_length() -> Outcome {
        let mut buffer = BytesMut::new();
        let request =
            Request::post("http://bus.example/x?y=z").header("host", "bus.example").body(Bytes::from("{}"))?;
        write(&mut buffer, &request);
        assert_eq!(&buffer[..], b"POST /x?y=z HTTP/1.1\r\nhost: bus.example\r\ncontent-length: 2\r\n\r\n{}");
        Ok(())
    }
}
