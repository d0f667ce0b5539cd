//! Why a connection did not come about, in words and with what to do.

use std::{error, io};

use intent_bus_client::NetworkError;

/// What is wrong, and what to do about it.
pub(super) fn why(url: &str, broken: &NetworkError) -> (String, String) {
    let said = said(broken);
    let find = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let (what, advice) = if find(&["dns error", "lookup address", "Name or service not known"]) {
        ("its name cannot be looked up", "Is the name right, and is this machine online?")
    } else if refused(broken) {
        ("nothing listens there", "Is the port right, and does the bus run?")
    } else if find(&["UnknownIssuer", "unknown issuer", "self-signed", "not trusted", "CaUsedAsEndEntity"]) {
        (
            "its certificate is from an authority that this machine does not know",
            "Install the authority's certificate on this machine (Debian: /usr/local/share/ca-certificates, then update-ca-certificates), or the package ca-certificates if there are none.",
        )
    } else if find(&["expired", "not valid yet", "NotValidYet"]) {
        (
            "its certificate is not valid at this time",
            "Is this machine's clock right? If so, the certificate has to be renewed.",
        )
    } else if find(&["not valid for name", "NotValidForName"]) {
        ("its certificate is for another name", "Use the name that the certificate is for.")
    } else if find(&[
        "corrupt message",
        "InvalidContentType",
        "invalid HTTP version",
        "record overflow",
        "invalid HTTP",
    ]) {
        (
            "the two do not speak the same: one means TLS, the other does not",
            "Try http:// in place of https://, or the other way round.",
        )
    } else if broken.is_timeout() {
        (
            "there is no answer in time",
            "A firewall on the way, or a wrong address. A bus that runs answers within a second.",
        )
    } else {
        (
            "the connection broke",
            "Something stands between that lets nothing through, or the bus is restarting. Try again.",
        )
    };
    (format!("{url} does not answer: {what} ({said})"), advice.to_owned())
}

fn refused(broken: &NetworkError) -> bool {
    let mut cause = error::Error::source(broken);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The innermost cause says most.
fn said(broken: &NetworkError) -> String {
    let mut innermost: &dyn error::Error = broken;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let whole = broken.to_string();
    let innermost = innermost.to_string();
    // Of a name that cannot be looked up, the innermost says less than what is around it.
    if whole.contains("dns error") && !innermost.contains("lookup") {
        format!("dns error: {innermost}")
    } else {
        innermost
    }
}
