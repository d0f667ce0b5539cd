//! What the dashboard gives out and has to know again: the token of its forms, and the note that stands on the page after a
//! redirect. Both are sealed by a key made of the operators' secrets, so that every replica knows them, nobody else can make
//! them, and a changed password ends them all. Nothing is stored, and no cookie is set.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

use crate::{
    config::Auth,
    domain::{
        hash::{hash128, key_hash, keyed},
        ids::random_bytes,
    },
    error::{Error, Result},
    store::admission::Signed,
};

/// How long a form may stand open, in seconds: a working day.
const FORM_LIFE: u64 = 12 * 3600;
/// How long a form that shows a key may stand open, in seconds, by the database's clock. It is taken once, and the nonces that
/// say so are kept for 600 s at least: with [`AHEAD`] it is all of that.
pub(super) const KEY_FORM_LIFE: i64 = 540;
/// How far the clock of the replica that made such a form may be ahead of the database's, in seconds.
const AHEAD: i64 = 60;
/// How long a note is shown, in seconds: a redirect, not a bookmark.
const NOTE_LIFE: u64 = 60;
/// How far the clocks of replicas may be apart, in seconds.
const CLOCKS_APART: u64 = 300;
/// What both kinds are sealed for, so that neither is taken for the other.
const FORM: &str = "form";
const NOTE: &str = "note";

/// The key.
pub struct Seal([u8; 32]);

/// A form's token that was found good.
#[derive(Debug, Clone, Copy)]
pub struct GoodToken {
    /// Stands for this token where it may be used only once.
    nonce: Uuid,
    /// Unix seconds.
    made: i64,
}

impl GoodToken {
    /// As what signs a request once. The database lets that in for 300 s before and after its timestamp, which is set so that
    /// this is the time from [`AHEAD`] before the token was made until [`KEY_FORM_LIFE`] after.
    pub(super) fn signed(self) -> Signed {
        Signed { nonce: self.nonce, timestamp: self.made + (KEY_FORM_LIFE - AHEAD) / 2 }
    }
}

impl Seal {
    /// The key that these secrets make.
    #[must_use]
    pub fn new(auth: &Auth) -> Self {
        let hash = |secret: Option<&SecretString>| secret.map_or([0; 32], |secret| key_hash(secret.expose_secret()));
        let mut made = keyed(&key_hash(auth.root.expose_secret()));
        made.update(b"dashboard");
        made.update(&hash(auth.admin.as_ref()));
        made.update(&hash(auth.dashboard.as_ref()));
        Self(made.finalize().into_bytes().into())
    }

    /// A token for the forms of a page that is made at this moment.
    #[must_use]
    pub fn form_token(&self, made: SystemTime) -> String {
        self.close(FORM, &random_bytes::<16>(), unix(made))
    }

    /// Whether a form came from a page of ours.
    ///
    /// # Errors
    /// `forbidden`: the token is missing, was made up, or is too old.
    pub fn check_form(&self, token: Option<&str>) -> Result<GoodToken> {
        let (made, random) = token.and_then(|token| self.open(FORM, token, FORM_LIFE, now())).ok_or_else(|| {
            Error::forbidden("This form is too old, or not one of the dashboard's. Load its page again, then send it.")
        })?;
        Ok(GoodToken { nonce: hash128(&[b"form", &random]), made: made.cast_signed() })
    }

    /// A note for the page that a redirect leads to.
    #[must_use]
    pub fn note(&self, text: &str) -> String {
        self.close(NOTE, text.as_bytes(), now())
    }

    /// The note's text, if it is one of ours and of this moment.
    #[must_use]
    pub fn read_note(&self, note: &str) -> Option<String> {
        String::from_utf8(self.open(NOTE, note, NOTE_LIFE, now())?.1).ok()
    }

    fn close(&self, what: &str, content: &[u8], now: u64) -> String {
        let mac = self.mac(what, content, now).finalize().into_bytes();
        format!("{now:x}.{}.{}", BASE64_URL_SAFE_NO_PAD.encode(content), BASE64_URL_SAFE_NO_PAD.encode(mac))
    }

    /// When it was made, in unix seconds, and what it holds.
    fn open(&self, what: &str, sealed: &str, life: u64, now: u64) -> Option<(u64, Vec<u8>)> {
        let mut parts = sealed.split('.');
        let (made, content, mac) = (parts.next()?, parts.next()?, parts.next()?);
        let made = u64::from_str_radix(made, 16).ok()?;
        let content = BASE64_URL_SAFE_NO_PAD.decode(content).ok()?;
        let mac = BASE64_URL_SAFE_NO_PAD.decode(mac).ok()?;
        let in_time = made <= now.saturating_add(CLOCKS_APART) && now <= made.saturating_add(life);
        (parts.next().is_none() && in_time && self.mac(what, &content, made).verify_slice(&mac).is_ok())
            .then_some((made, content))
    }

    fn mac(&self, what: &str, content: &[u8], made: u64) -> Hmac<Sha256> {
        let mut mac = keyed(&self.0);
        mac.update(what.as_bytes());
        mac.update(&made.to_be_bytes());
        mac.update(content);
        mac
    }
}

fn now() -> u64 {
    unix(SystemTime::now())
}

fn unix(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn keyed_by(byte: u8) -> Seal {
        Seal([byte; 32])
    }

    #[test]
    fn only_what_this_key_has_sealed_for_this_purpose_is_opened() {
        let seal = keyed_by(1);
        let token = seal.form_token(SystemTime::now());
        assert!(seal.check_form(Some(&token)).is_ok());
        assert!(keyed_by(2).check_form(Some(&token)).is_err(), "another key");
        assert!(seal.check_form(Some(&seal.note("hello"))).is_err(), "another purpose");
        assert!(seal.read_note(&token).is_none());
        for bad in ["", ".", "..", "...", "0..", "zz.AA.AA", &token[1..], &format!("{token}."), &format!("{token}A")] {
            assert!(seal.check_form(Some(bad)).is_err(), "{bad}");
        }
        assert!(seal.check_form(None).is_err());
    }

    #[test]
    fn every_token_is_another_and_every_change_of_one_breaks_it() {
        let seal = keyed_by(1);
        let (one, two) = (seal.form_token(SystemTime::now()), seal.form_token(SystemTime::now()));
        assert_ne!(seal.check_form(Some(&one)).unwrap().nonce, seal.check_form(Some(&two)).unwrap().nonce);
        let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (one, two) = (parts(&one), parts(&two));
        for part in 1..3 {
            let mut mixed = one.clone();
            mixed[part].clone_from(&two[part]);
            assert!(seal.check_form(Some(&mixed.join("."))).is_err(), "{part}");
        }
        let later = format!("{:x}", now() + 1);
        assert!(seal.check_form(Some(&[&later, &one[1], &one[2]].map(String::as_str).join("."))).is_err());
    }

    #[test]
    fn what_is_sealed_lives_as_long_as_it_is_meant_to() {
        let seal = keyed_by(1);
        let sealed = seal.close(FORM, b"x", 1_000_000);
        let opens = |at| seal.open(FORM, &sealed, FORM_LIFE, at).is_some();
        assert!(opens(1_000_000) && opens(1_000_000 + FORM_LIFE) && opens(1_000_000 - CLOCKS_APART));
        assert!(!opens(1_000_001 + FORM_LIFE) && !opens(999_999 - CLOCKS_APART));
    }

    #[test]
    fn a_form_that_shows_a_key_is_let_in_for_no_longer_than_its_nonce_is_kept() {
        // What the database lets in is within 300 s of the timestamp.
        let made = 1_000_000;
        let Signed { timestamp, .. } = GoodToken { nonce: Uuid::nil(), made }.signed();
        assert_eq!((timestamp - 300, timestamp + 300), (made - AHEAD, made + KEY_FORM_LIFE));
        const { assert!(KEY_FORM_LIFE + AHEAD <= 600) };
    }

    #[test]
    fn a_note_comes_back_as_it_was() {
        let text = "12 intents are open again. <b>äöü</b>";
        assert_eq!(keyed_by(1).read_note(&keyed_by(1).note(text)).unwrap(), text);
    }
}
