//! What changes something: only a form of ours, from a page of ours.

use std::time::{Duration, SystemTime};

use intent_bus::{
    config::load_from,
    http::{dashboard::Seal, routes::PAGES},
};
use serde_json::json;

use super::{browser, send, token};
use crate::support::{Client, TestApp, app::environment, factory::intent_with};

/// The fields of a form.
type Fields<'a> = Vec<(&'a str, &'a str)>;

/// Counts of everything that a form can change.
async fn everything(app: &TestApp) -> Vec<i64> {
    let mut counts = Vec::new();
    for sql in [
        "SELECT count(*) FROM intents WHERE state = 'open'",
        "SELECT count(*) FROM finished WHERE state = 'dead'",
        "SELECT count(*) FROM pauses WHERE goal = 'paused'",
        "SELECT count(*) FROM api_keys",
        "SELECT count(*) FROM api_keys WHERE id = 1 AND revoked_at IS NULL",
        "SELECT count(*) FROM api_keys WHERE id = 1 AND scopes IS NULL",
        "SELECT coalesce(sum(max_open_intents), 0)::bigint FROM tenants",
        "SELECT count(*) FROM audit_log",
    ] {
        counts.push(app.db.value(sql, &[]).await);
    }
    counts
}

/// Every form, with fields that are good: a path, and what it needs beside the token.
fn forms<'a>(open: &str, dead: &str) -> Vec<(String, Fields<'a>)> {
    let to = |path: &str| format!("/admin/dashboard/{path}");
    vec![
        (to(&format!("intents/{open}/cancel")), vec![]),
        (to(&format!("intents/{dead}/retry")), vec![]),
        (to("dead/redrive/start"), vec![("goal", "dead")]),
        (to("pauses/pause"), vec![("namespace", "default"), ("goal", "g")]),
        (to("pauses/resume"), vec![("namespace", "default"), ("goal", "paused")]),
        (to("keys/create"), vec![("owner", "bob"), ("scope", "read")]),
        (to("keys/1/rotate"), vec![("overlap", "3600")]),
        (to("keys/1/reach"), vec![("scope", "read")]),
        (to("keys/1/limits"), vec![("tenant", "1"), ("max_open", "7")]),
        (to("keys/1/revoke"), vec![]),
        (to("purge/start"), vec![("namespace", "default"), ("again", "default")]),
    ]
}

async fn filled(app: &TestApp) -> (String, String) {
    let alice = app.tenant("alice").await;
    let open = alice.published(intent_with("open", json!({}))).await;
    let dead = alice.published(intent_with("dead", json!({"max_attempts": 1}))).await;
    alice.fail(&alice.claimed("dead").await, "no").await.expect(200);
    app.admin().post("/admin/pause", json!({"namespace": "default", "goal": "paused"})).await.expect(200);
    (open, dead)
}

#[tokio::test]
async fn a_form_without_a_good_token_or_from_elsewhere_changes_nothing() {
    let app = TestApp::spawn().await;
    let (open, dead) = filled(&app).await;
    let operator = browser(&app);
    let good = token(&operator.get("/admin/dashboard/purge").await);
    let forms = forms(&open, &dead);
    let posts = PAGES.iter().filter(|route| route.method == "POST").count();
    assert_eq!(forms.len(), posts, "every form is tried");
    let before = everything(&app).await;

    let of_another_bus = TestApp::with(&[("DASHBOARD_PASSWORD", "another-password-1")]).await;
    let admin = of_another_bus.admin().with("accept", "text/html");
    let foreign = token(&admin.get("/admin/dashboard/purge").await);
    let (made, rest) = good.split_once('.').unwrap();
    let altered = format!("{:x}.{rest}", u64::from_str_radix(made, 16).unwrap() - 1);
    let bad: [(&str, Option<&str>); 5] = [
        ("none", None),
        ("an empty one", Some("")),
        ("one that was made up", Some("68f0.AAAAAAAAAAAAAAAAAAAAAA.AAAA")),
        ("one whose time was altered", Some(&altered)),
        ("another bus's", Some(&foreign)),
    ];
    let elsewhere: [(&str, Client); 4] = [
        ("another site", operator.with("sec-fetch-site", "cross-site")),
        ("a sister site", operator.with("sec-fetch-site", "same-site")),
        ("another origin", without_fetch_metadata(&app).with("origin", "http://evil.example")),
        ("no origin that can be told", without_fetch_metadata(&app).with("origin", "null")),
    ];
    let mut refused = 0;
    for (path, fields) in &forms {
        for (what, given) in &bad {
            let fields: Vec<_> = fields.iter().copied().chain(given.map(|given| ("token", given))).collect();
            let answer = send(&operator, path, &fields).await;
            assert_eq!(answer.status, 403, "{path} with {what}: {}", answer.text());
            refused += 1;
        }
        let fields: Vec<_> = fields.iter().copied().chain([("token", good.as_str())]).collect();
        for (what, client) in &elsewhere {
            let answer = send(client, path, &fields).await;
            assert_eq!(answer.status, 403, "{path} from {what}: {}", answer.text());
            // The admin token does not make a form of another site's page a good one.
            refused += 1;
        }
        let query = format!("{path}?token={good}");
        assert_eq!(operator.post(&query, "").await.status, 400, "{path}: a token in the query is none");
        let plain = operator.with("content-type", "text/plain").post(path, format!("token={good}")).await;
        assert_eq!(plain.status, 400, "{path}: what scripts can send without asking is no form");
    }
    assert_eq!(refused, posts * (bad.len() + elsewhere.len()));
    assert_eq!(everything(&app).await, before);
}

/// A browser on plain HTTP: it says the origin only.
fn without_fetch_metadata(app: &TestApp) -> Client {
    browser(app).without("sec-fetch-site")
}

#[tokio::test]
async fn a_good_form_is_done_and_leads_to_a_page_that_says_so() {
    let app = TestApp::spawn().await;
    let (open, dead) = filled(&app).await;
    let operator = browser(&app).not_following();
    let before = everything(&app).await;
    let mut audited = *before.last().unwrap();
    for (path, fields) in forms(&open, &dead) {
        if path.ends_with("/dead/redrive/start") {
            // What was retried before is not dead any more.
            app.admin().cancel(&dead).await.expect(200);
            audited += 1;
        }
        let given = token(&operator.get("/admin/dashboard/purge").await);
        let fields: Vec<_> = fields.into_iter().chain([("token", given.as_str())]).collect();
        let answer = send(&operator, &path, &fields).await;
        if path.ends_with("/create") || path.ends_with("/rotate") {
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert!(answer.text().contains("<code id=\"key\">tk_"), "{path}");
        } else {
            assert_eq!(answer.status, 303, "{path}: {}", answer.text());
            let page = operator.get(answer.header("location").unwrap()).await;
            assert_eq!(page.status, 200, "{path}");
            assert!(page.text().contains("class=\"note\" role=\"status\""), "{path}: {}", page.text());
        }
        audited += 1;
        assert_eq!(*everything(&app).await.last().unwrap(), audited, "{path} is in the audit log, once");
    }
    let after = everything(&app).await;
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
    let actors = app.db.value::<i64>("SELECT count(*) FROM audit_log WHERE actor = 'dashboard'", &[]).await;
    assert_eq!(actors, 11);
}

#[tokio::test]
async fn a_form_that_shows_a_key_is_taken_once() {
    let app = TestApp::spawn().await;
    let operator = browser(&app);
    let given = token(&operator.get("/admin/dashboard/keys").await);
    let fields = [("owner", "carol"), ("scope", "read"), ("token", given.as_str())];
    assert_eq!(send(&operator, "/admin/dashboard/keys/create", &fields).await.status, 200);
    let again = send(&operator, "/admin/dashboard/keys/create", &fields).await;
    assert_eq!(again.status, 403, "{}", again.text());
    assert!(again.text().contains("was sent before"), "{}", again.text());
    assert_eq!(app.db.value::<i64>("SELECT count(*) FROM tenants WHERE owner = 'carol'", &[]).await, 1);
}

/// A form's token that was made so many seconds ago, in the past or ahead of this clock.
fn token_of(app: &TestApp, seconds_ago: i64) -> String {
    let auth = load_from(None, &environment(&app.db, &[])).expect("the settings of the test").auth;
    let (now, apart) = (SystemTime::now(), Duration::from_secs(seconds_ago.unsigned_abs()));
    let made = if seconds_ago < 0 { now + apart } else { now - apart };
    Seal::new(&auth).form_token(made)
}

#[tokio::test]
async fn a_form_that_shows_a_key_is_too_old_before_its_nonce_is_forgotten() {
    let app = TestApp::spawn().await;
    let operator = browser(&app);
    let cases = [(0, 200), (530, 200), (550, 403), (1300, 403), (11 * 3600, 403), (-50, 200), (-70, 403)];
    for (age, status) in cases {
        let given = token_of(&app, age);
        let fields = [("owner", "dave"), ("scope", "read"), ("token", given.as_str())];
        let answer = send(&operator, "/admin/dashboard/keys/create", &fields).await;
        assert_eq!(answer.status, status, "{age}: {}", answer.text());
        let rotated = [("overlap", "3600"), ("token", &token_of(&app, age))];
        let rotated = send(&operator, "/admin/dashboard/keys/1/rotate", &rotated).await;
        assert_eq!(rotated.status, status, "{age}: {}", rotated.text());
        for refused in [answer, rotated].iter().filter(|answer| answer.status == 403) {
            assert!(refused.text().contains("good for 9 minutes"), "{age}: {}", refused.text());
        }
        // What shows no key may stand open for a working day.
        let pause = [("namespace", "default"), ("token", given.as_str())];
        assert_eq!(send(&operator, "/admin/dashboard/pauses/pause", &pause).await.status, 200, "{age}");
    }
    assert_eq!(app.db.value::<i64>("SELECT count(*) FROM tenants WHERE owner = 'dave'", &[]).await, 3);
}

#[tokio::test]
async fn a_form_with_fields_that_make_no_sense_is_refused_with_words() {
    let app = TestApp::spawn().await;
    let (open, _) = filled(&app).await;
    let operator = browser(&app);
    let long = "x".repeat(129);
    let many = (0..101).map(|number| format!("n{number}")).collect::<Vec<_>>().join(" ");
    let cases: Vec<(&str, Fields<'_>, u16)> = vec![
        ("pauses/pause", vec![], 400),
        ("pauses/pause", vec![("namespace", "no namespace")], 400),
        ("pauses/pause", vec![("namespace", "default"), ("goal", "a\0b")], 400),
        ("keys/create", vec![("scope", "read")], 400),
        ("keys/create", vec![("owner", &long), ("scope", "read")], 400),
        ("keys/create", vec![("owner", "a\0b"), ("scope", "read")], 400),
        ("keys/create", vec![("owner", "bob")], 400),
        ("keys/create", vec![("owner", "bob"), ("scope", "everything")], 400),
        ("keys/create", vec![("owner", "bob"), ("scope", "read"), ("rate_limit", "0")], 400),
        ("keys/create", vec![("owner", "bob"), ("scope", "read"), ("namespaces", "a b!")], 400),
        ("keys/create", vec![("owner", "bob"), ("scope", "read"), ("namespaces", &many)], 400),
        ("keys/1/reach", vec![("scope", "read"), ("namespaces", &many)], 400),
        ("keys/create", vec![("owner", "bob"), ("scope", "read"), ("days", "-1")], 400),
        ("keys/1/rotate", vec![("overlap", "1")], 400),
        ("keys/99/rotate", vec![("overlap", "0")], 404),
        ("keys/99/revoke", vec![], 404),
        ("keys/none/revoke", vec![], 404),
        ("keys/99/reach", vec![("scope", "read")], 404),
        ("keys/1/limits", vec![("tenant", "99")], 404),
        ("keys/1/limits", vec![], 400),
        ("dead/redrive/start", vec![("limit", "0")], 400),
        ("dead/redrive/start", vec![("per_second", "1001")], 400),
        ("dead/redrive/start", vec![("since", "never")], 400),
        ("purge/start", vec![("namespace", "default"), ("again", "east")], 400),
        ("purge/start", vec![("namespace", "all"), ("again", "")], 400),
    ];
    let retry = format!("intents/{open}/retry");
    let cancel = format!("intents/{}/cancel", "0".repeat(32));
    let cases = cases.into_iter().chain([(retry.as_str(), vec![], 409), (cancel.as_str(), vec![], 404)]);
    let before = everything(&app).await;
    for (path, fields, status) in cases {
        let given = token(&operator.get("/admin/dashboard/purge").await);
        let all: Vec<_> = fields.iter().copied().chain([("token", given.as_str())]).collect();
        let answer = send(&operator, &format!("/admin/dashboard/{path}"), &all).await;
        assert_eq!(answer.status, status, "{path} {fields:?}: {}", answer.text());
        assert!(answer.text().contains("class=\"problem\""), "{path} {fields:?}");
    }
    assert_eq!(everything(&app).await, before);
}

#[tokio::test]
async fn what_a_key_reaches_is_stored_as_the_api_stores_it() {
    let app = TestApp::spawn().await;
    let operator = browser(&app);
    let given = token(&operator.get("/admin/dashboard/keys").await);
    let fields = [
        ("owner", " bob "),
        ("scope", "read"),
        ("scope", "work"),
        ("scope", "read"),
        ("namespaces", "west, east\teast"),
        ("token", given.as_str()),
    ];
    assert_eq!(send(&operator, "/admin/dashboard/keys/create", &fields).await.status, 200);
    let api = json!({"owner": "bob", "scopes": ["read", "work", "read"], "namespaces": ["west", "east", "east"]});
    app.admin().post("/admin/generate_key", api).await.expect(201);
    let keys = app.admin().get("/admin/keys").await.expect(200)["keys"].clone();
    for name in ["owner", "scopes", "namespaces"] {
        assert_eq!(keys[0][name], keys[1][name]);
    }
    assert_eq!(keys[0]["namespaces"], json!(["east", "west"]));
}

#[tokio::test]
async fn purging_everything_takes_its_words() {
    let app = TestApp::spawn().await;
    app.root().published(intent_with("g", json!({"namespace": "east"}))).await;
    let operator = browser(&app);
    let given = token(&operator.get("/admin/dashboard/purge").await);
    let words = [("namespace", "all namespaces"), ("again", "all namespaces"), ("token", given.as_str())];
    send(&operator, "/admin/dashboard/purge/start", &words).await;
    assert_eq!(app.db.value::<i64>("SELECT count(*) FROM intents", &[]).await, 0);
}
