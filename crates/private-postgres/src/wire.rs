//! How the caller, the guard and the launcher talk over their pipes: a count, then that many fields, each ended by NUL.
//!
//! NUL because paths may hold any other byte; no text format is worth a parser here.

use std::{
    ffi::{OsStr, OsString},
    io::{self, BufRead, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// Far above what anyone sends; garbage on the pipe must not make us allocate.
const MOST_FIELDS: usize = 1000;

/// Writes one message.
pub(crate) fn write<F: AsRef<OsStr>>(mut to: impl Write, fields: &[F]) -> io::Result<()> {
    let mut message = format!("{}\0", fields.len()).into_bytes();
    for field in fields {
        let bytes = field.as_ref().as_bytes();
        if bytes.contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a NUL byte in a path or a setting"));
        }
        message.extend_from_slice(bytes);
        message.push(0);
    }
    to.write_all(&message)?;
    to.flush()
}

/// Reads one message. `None` when the pipe ended before the first byte.
pub(crate) fn read(mut from: impl BufRead) -> io::Result<Option<Vec<OsString>>> {
    let Some(count) = field(&mut from)? else {
        return Ok(None);
    };
    let count = count
        .to_str()
        .and_then(|text| text.parse::<usize>().ok())
        .filter(|count| *count <= MOST_FIELDS)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a message"))?;
    (0..count)
        .map(|_| field(&mut from)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
        .collect::<io::Result<Vec<_>>>()
        .map(Some)
}

fn field(from: &mut impl BufRead) -> io::Result<Option<OsString>> {
    let mut bytes = Vec::new();
    if from.read_until(0, &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.pop() != Some(0) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_pipe() -> io::Result<()> {
        let fields = ["serve", "", "two\nlines", "ümläut"].map(OsString::from);
        let mut pipe = Vec::new();
        write(&mut pipe, &fields)?;
        assert_eq!(read(pipe.as_slice())?.as_deref(), Some(fields.as_slice()));
        Ok(())
    }

    #[test]
    fn a_message_cut_short_is_an_error_and_no_message_is_none() -> io::Result<()> {
        assert_eq!(read(&b""[..])?, None);
        for cut in ["2\0one\0", "2\0one", "1", "usage: intent-bus\0", "99999999\0"] {
            assert!(read(cut.as_bytes()).is_err(), "{cut:?}");
        }
        Ok(())
    }

    #[test]
    fn a_nul_byte_is_refused_rather_than_split() {
        assert!(write(Vec::new(), &["a\0b"]).is_err());
    }
}
