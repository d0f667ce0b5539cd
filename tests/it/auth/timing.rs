//! Whether the time that a refusal takes tells anything of the key or the signature. A measurement, to be read by a person:
//! `cargo test --test it timing -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use crate::support::{
    Client, TestApp,
    app::ROOT,
    client::{nonce, sign_as, unix_now},
};

/// Requests of each kind.
const ROUNDS: usize = 3_000;

/// A key that differs in one place.
fn differing(key: &str, place: usize) -> String {
    let mut letters: Vec<char> = key.chars().collect();
    letters[place] = if letters[place] == '0' { '1' } else { '0' };
    letters.into_iter().collect()
}

/// A signed request by this key, whose signature has other digits from there on.
fn signed(client: &Client, key: &str, wrong_from: usize) -> Client {
    let headers = sign_as(key, "GET", "/status/x", b"", unix_now(), &nonce());
    headers.into_iter().fold(client.key(key), |client, (name, mut value)| {
        if name == "x-signature" {
            value[wrong_from..].iter_mut().for_each(|digit| *digit = if *digit == b'0' { b'1' } else { b'0' });
        }
        client.with(&name, value)
    })
}

#[tokio::test]
#[ignore = "a measurement"]
async fn refusals_take_as_long_whatever_is_wrong() {
    let app = TestApp::spawn().await;
    let nobody = app.nobody();
    let alice = app.tenant("alice").await.api_key().to_owned();
    let revoked = app.tenant("revoked").await.api_key().to_owned();
    app.admin().revoke_key(&revoked).await.expect(200);
    let last = ROOT.len() - 1;
    let kinds: [(&str, &dyn Fn() -> Client); 9] = [
        ("unknown key", &|| nobody.key(&differing(&alice, 20))),
        ("revoked key", &|| nobody.key(&revoked)),
        ("root key, first letter wrong", &|| nobody.key(&differing(ROOT, 0))),
        ("root key, last letter wrong", &|| nobody.key(&differing(ROOT, last))),
        ("unknown key, signed", &|| signed(&nobody, &differing(&alice, 20), 64)),
        ("signature, all digits wrong", &|| signed(&nobody, &alice, 0)),
        ("signature, last digit wrong", &|| signed(&nobody, &alice, 63)),
        ("root's signature, all digits wrong", &|| signed(&nobody, ROOT, 0)),
        ("root's signature, last digit wrong", &|| signed(&nobody, ROOT, 63)),
    ];
    let mut took: Vec<Vec<Duration>> = vec![Vec::with_capacity(ROUNDS); kinds.len()];
    for round in 0..ROUNDS {
        // In turns, so that whatever else the machine does concerns all of them, and each once after each.
        for turn in 0..kinds.len() {
            let kind = (round + turn * (1 + round % 2)) % kinds.len();
            let client = kinds[kind].1();
            let began = Instant::now();
            let answer = client.get("/status/x").await;
            took[kind].push(began.elapsed());
            assert!([401, 403].contains(&answer.status), "{answer:?}");
        }
    }
    for ((kind, _), took) in kinds.iter().zip(&mut took) {
        took.sort_unstable();
        let [tenth, quarter, half] = [10, 4, 2].map(|part| took[ROUNDS / part]);
        eprintln!("{kind:36} a tenth within {tenth:>8.1?}, a quarter {quarter:>8.1?}, half {half:>8.1?}");
    }
}
