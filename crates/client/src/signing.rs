//! Requests as they leave: headers and signature. Nothing is sent from here, and no HTTP client is needed: what comes out is
//! an [`http::Request`], which hyper takes as it is.
//!
//! A signed request costs its MAC and three small buffers. What is the same in every one is made once.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use intent_bus_protocol::{
    headers,
    signature::{SignedParts, sign},
};

use crate::error::{Error, Result};

const API_KEY: HeaderName = HeaderName::from_static(headers::API_KEY);
const TIMESTAMP: HeaderName = HeaderName::from_static(headers::TIMESTAMP);
const NONCE: HeaderName = HeaderName::from_static(headers::NONCE);
const SIGNATURE: HeaderName = HeaderName::from_static(headers::SIGNATURE);
const INTENT_VERSION: HeaderName = HeaderName::from_static(headers::INTENT_VERSION);
/// Generation 2.x, with claim tokens, as SDK 2.1 declares it.
const VERSION: HeaderValue = HeaderValue::from_static("7.61");

/// A request target, `/claim?goal=greet`, in the writing that is signed and in the one that is sent.
///
/// ```
/// use intent_bus_client::signing::{Target, encoded};
///
/// let target = Target::new(format!("/claim?goal={}", encoded("say hello")))?;
/// assert_eq!(target.as_str(), "/claim?goal=say%20hello");
/// # Ok::<(), intent_bus_client::Error>(())
/// ```
#[derive(Clone)]
pub struct Target {
    text: String,
    uri: Uri,
}

impl Target {
    /// Reads a target in origin form: a path that begins with `/`, and maybe a query.
    ///
    /// # Errors
    /// When it is none, or its signature would fit another request as well
    /// ([`is_ambiguous`](intent_bus_protocol::canonical::is_ambiguous)): the bus refuses such a one.
    pub fn new(text: String) -> Result<Self> {
        let uri = text.parse().map_err(|_| Error::config(format!("{:?} is no target of a request.", path(&text))))?;
        if intent_bus_protocol::canonical::is_ambiguous(&text) {
            let path = path(&text);
            return Err(Error::config(format!("{path:?} cannot be signed: it reads as another request, too.")));
        }
        Ok(Self { text, uri })
    }

    /// The target as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The target as it may be shown.
    pub(crate) fn path(&self) -> &str {
        path(&self.text)
    }
}

/// Without the query, which may hold a key: `publisher`.
fn path(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Target").field(&self.path()).finish()
    }
}

/// A name or a value as it stands in a path or a query: everything but unreserved characters is percent-encoded.
///
/// ```
/// assert_eq!(intent_bus_client::signing::encoded("a/b c+d~é"), "a%2Fb%20c%2Bd~%C3%A9");
/// ```
#[must_use]
pub fn encoded(text: &str) -> String {
    encoded_but(text, "")
}

/// The same, leaving these ASCII characters bare, too.
pub(crate) fn encoded_but(text: &str, bare: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || bare.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// So many random bytes, as twice as many hexadecimal digits.
///
/// # Errors
/// When the system has no randomness to give.
///
/// ```
/// assert_eq!(intent_bus_client::signing::random_hex(8)?.len(), 16);
/// # Ok::<(), intent_bus_client::Error>(())
/// ```
pub fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| Error::config(format!("The system has no randomness: {error}")))?;
    Ok(hex::encode(random))
}

/// Makes requests: holds the key, and what nonces are made of. Each request gets a nonce of its own; a repetition is signed anew.
///
/// ```
/// use http::Method;
/// use intent_bus_client::signing::{Signer, Target};
///
/// let signer = Signer::new("tk_one")?;
/// let request = signer.request(Method::POST, &Target::new("/intent".to_owned())?, br#"{"goal":"greet","payload":{}}"#.as_slice());
/// assert_eq!(request.headers()["x-signature"].len(), 64);
/// # Ok::<(), intent_bus_client::Error>(())
/// ```
pub struct Signer {
    key: String,
    key_header: HeaderValue,
    signs: bool,
    /// Random, so that no two processes share a nonce. The rest of it is a count.
    nonce_prefix: String,
    nonces: AtomicU64,
}

impl Signer {
    /// Signs with this key.
    ///
    /// # Errors
    /// When the key has characters that no header can carry.
    pub fn new(key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        let mut key_header = HeaderValue::from_str(&key)
            .map_err(|_| Error::config("The API key has characters that no header can carry."))?;
        key_header.set_sensitive(true);
        Ok(Self { key, key_header, signs: true, nonce_prefix: random_hex(8)?, nonces: AtomicU64::new(0) })
    }

    /// The key, for the one query that takes it.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The same, sending the key alone: to measure what signatures cost.
    ///
    /// ```
    /// use intent_bus_client::signing::{Signer, Target};
    ///
    /// let signer = Signer::new("tk_one")?.unsigned();
    /// let request = signer.request(http::Method::GET, &Target::new("/get/depth".to_owned())?, "");
    /// assert!(!request.headers().contains_key("x-signature"));
    /// # Ok::<(), intent_bus_client::Error>(())
    /// ```
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.signs = false;
        self
    }

    /// A request with everything but `Host`: method, target, key, version, timestamp, nonce, signature and body.
    pub fn request<B: AsRef<[u8]>>(&self, method: Method, target: &Target, body: B) -> Request<B> {
        let signed = self.signs.then(|| self.signature(&method, target, body.as_ref()));
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = target.uri.clone();
        let headers = request.headers_mut();
        headers.reserve(8);
        headers.insert(API_KEY, self.key_header.clone());
        headers.insert(INTENT_VERSION, VERSION);
        if let Some([timestamp, nonce, signature]) = signed {
            headers.insert(TIMESTAMP, timestamp);
            headers.insert(NONCE, nonce);
            headers.insert(SIGNATURE, signature);
        }
        request
    }

    /// A nonce that no other request of this process has, nor of another.
    pub(crate) fn nonce(&self) -> String {
        let count = self.nonces.fetch_add(1, Ordering::Relaxed);
        let mut nonce = String::with_capacity(self.nonce_prefix.len() + 17);
        let _ = write!(nonce, "{}-{count:x}", self.nonce_prefix);
        nonce
    }

    /// Timestamp, nonce and signature.
    fn signature(&self, method: &Method, target: &Target, body: &[u8]) -> [HeaderValue; 3] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let timestamp = HeaderValue::from(now);
        let nonce = self.nonce();
        let parts = SignedParts {
            method: method.as_str(),
            path_and_query: &target.text,
            timestamp: timestamp.to_str().unwrap_or_default(),
            nonce: &nonce,
            body,
        };
        let signature = sign(&self.key, &parts);
        [timestamp, header(nonce), header(signature)]
    }
}

/// The text as a header, without a copy. For what is made here, and is ASCII.
fn header(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("signs", &self.signs).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use intent_bus_protocol::signature::verify;

    use super::*;

    #[test]
    fn every_request_has_a_nonce_of_its_own_and_a_signature_that_holds() {
        let signer = Signer::new("tk_one").unwrap();
        let target = Target::new("/claim?goal=a%20b".to_owned()).unwrap();
        let mut nonces = Vec::new();
        for _ in 0..2 {
            let request = signer.request(Method::POST, &target, b"{}");
            let header = |name: &HeaderName| request.headers()[name].to_str().unwrap_or_default().to_owned();
            let (timestamp, nonce) = (header(&TIMESTAMP), header(&NONCE));
            let path_and_query = request.uri().path_and_query().unwrap().as_str();
            let parts =
                SignedParts { method: "POST", path_and_query, timestamp: &timestamp, nonce: &nonce, body: b"{}" };
            assert!(verify("tk_one", &parts, &header(&SIGNATURE)));
            nonces.push(nonce);
        }
        assert_ne!(nonces[0], nonces[1]);
    }

    #[test]
    fn without_signatures_the_key_goes_alone() {
        let request = Signer::new("tk_one").unwrap().unsigned().request(
            Method::GET,
            &Target::new("/get/a".to_owned()).unwrap(),
            b"",
        );
        assert_eq!(request.headers()[API_KEY], "tk_one");
        assert!(!request.headers().contains_key(SIGNATURE) && !request.headers().contains_key(NONCE));
    }

    #[test]
    fn the_key_shows_in_no_debug_output() {
        let signer = Signer::new("tk_s3cr3t").unwrap();
        let request = signer.request(Method::GET, &Target::new("/get/a".to_owned()).unwrap(), b"");
        let target = Target::new("/claim?publisher=tk_s3cr3t".to_owned()).unwrap();
        let wrong = ["/set/a%0A1700000000?publisher=tk_s3cr3t", "no path?publisher=tk_s3cr3t"]
            .map(|text| Target::new(text.to_owned()));
        let shown = format!("{signer:?} {request:?} {target:?} {wrong:?}");
        assert!(wrong.iter().all(Result::is_err) && !shown.contains("tk_s3cr3t"), "{shown}");
    }

    #[test]
    fn a_target_whose_signature_would_fit_another_request_is_not_made() {
        for text in ["/set/a%3Fb=c", "/set/a%0A1700000000", "no path", ""] {
            assert!(Target::new(text.to_owned()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_told_without_showing_it() {
        let error = Signer::new("tk_s3cr3t\n").unwrap_err().to_string();
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}
