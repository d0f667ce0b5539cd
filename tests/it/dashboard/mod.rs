//! `/admin/dashboard`: what pages show and load, what their forms need, the stream that keeps the overview live. A real browser
//! walks them all in `processes/python.rs`.

mod forms;
mod live;
mod pages;
mod rows;

use base64::{Engine, prelude::BASE64_STANDARD};
use intent_bus::http::routes::PAGES;

use crate::support::{Answer, Client, TestApp, app::PASSWORD};

/// An operator with a browser.
fn browser(app: &TestApp) -> Client {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("admin:{PASSWORD}")));
    app.nobody()
        .with("authorization", basic)
        .with("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .with("sec-fetch-site", "same-origin")
}

/// Pages for people, as paths: those that are no asset and no stream. `id` stands for an intent, `key` for a key's number.
fn pages(id: &str, key: &str) -> Vec<String> {
    let is_page = |path: &str| !["/admin/events", "/parts", ".js", ".svg"].iter().any(|end| path.ends_with(end));
    let got = PAGES.iter().filter(|route| route.method == "GET" && is_page(route.path));
    let paths = got.map(|route| route.path.replace("{id}", id).replace("{number}", key));
    std::iter::once("/admin/dashboard".to_owned()).chain(paths).collect()
}

/// The token of the forms of a page.
pub(crate) fn token(page: &Answer) -> String {
    let (_, after) = page.text().split_once("name=\"token\" value=\"").expect("a form with a token");
    after.split('"').next().expect("the end of the token").to_owned()
}

/// Sends a form with these fields.
pub(crate) async fn send(client: &Client, path: &str, fields: &[(&str, &str)]) -> Answer {
    let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    client.with("content-type", "application/x-www-form-urlencoded").post(path, pairs.join("&")).await
}
