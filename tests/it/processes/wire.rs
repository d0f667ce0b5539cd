//! HTTP/1.1 by hand, over a socket that does exactly what it is told: no retries, no pool, and it is known which bytes were
//! sent before a connection broke.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

use crate::support::client::{nonce, sign_as, unix_now};

/// For every read, write and connect.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request as its bytes.
pub(super) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {target} HTTP/1.1\r\nhost: bus\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The same, signed with this key.
pub(super) fn signed(key: &str, method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let signed = sign_as(key, method, target, body, unix_now(), &nonce());
    let text = |value| std::str::from_utf8(value).expect("a header in ASCII");
    let headers: Vec<_> = [("x-api-key", key)]
        .into_iter()
        .chain(signed.iter().map(|(name, value)| (name.as_str(), text(value))))
        .collect();
    request(method, target, &headers, body)
}

/// One connection.
pub(super) struct Connection(BufReader<TcpStream>);

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Waits until something has come, be it the end.
    pub(super) fn wait_for_answer(&self) {
        let _ = self.0.get_ref().peek(&mut [0]);
    }

    /// Says that nothing more will be sent.
    pub(super) fn end_sending(&self) -> io::Result<()> {
        self.0.get_ref().shutdown(Shutdown::Write)
    }

    /// Whether the other side has closed it in order, with nothing left to be read.
    pub(super) fn is_closed(&self) -> io::Result<bool> {
        self.peek().map(|waiting| waiting == Some(0))
    }

    /// Whether something has come, be it the end.
    pub(super) fn has_answered(&self) -> bool {
        !matches!(self.peek(), Ok(None))
    }

    /// How many bytes can be read, one at most; none when nothing has come yet.
    fn peek(&self) -> io::Result<Option<usize>> {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        match peeked {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads one whole answer. An error when the connection breaks before its end.
    pub(super) fn answer(&mut self) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status =
            status.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, format!("no status: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").map(|length| length.parse().expect("a length"));
        answer.body.resize(length.unwrap_or(0), 0);
        self.0.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    /// Reads until the other side closes, and gives what came as text. A reset counts as the end.
    pub(super) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                panic!("still open after {PATIENCE:?}, having sent {:?}", String::from_utf8_lossy(&rest))
            }
            _ => String::from_utf8_lossy(&rest).into_owned(),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, format!("closed after {line:?}")));
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is the last one on its connection.
    pub(super) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }
}
