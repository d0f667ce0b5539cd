//! What `intent-bus dev` prints once it serves: the key, and lines to paste.

use std::{net::SocketAddr, time::Duration};

use secrecy::ExposeSecret;

use crate::config::Auth;

/// Says that the data goes to a database that is not this bus's own.
#[allow(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn say_whose_database() {
    println!(
        "DATABASE_URL is set: the bus uses that database, and makes its tables there. Unset it for a private one.\n"
    );
}

/// Where things are.
pub(super) struct Places<'a> {
    pub(super) bus: SocketAddr,
    pub(super) metrics: Option<SocketAddr>,
    /// The private Postgres. Its URL is no secret: it has no password, and a socket in a folder that only its owner can enter.
    pub(super) database: Option<&'a str>,
}

/// Prints the key and the lines. This is the one place where secrets are shown: to the person who started the bus.
#[allow(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn print(places: &Places<'_>, auth: &Auth, took: Duration) {
    let address = places.bus;
    let password = auth.dashboard.as_ref().map_or("(not set)", |password| password.expose_secret());
    let admin = auth.admin.as_ref().map_or("", |token| token.expose_secret());
    let metrics = places.metrics.map(|address| format!(" METRICS=http://{address}/metrics")).unwrap_or_default();
    let database = places.database.map_or_else(String::new, |url| {
        format!("  # look into the database, as docs/runbook.md does (not where you start dev: it would use this one)\n  export DATABASE_URL={url}\n\n")
    });
    println!(
        "Intent Bus serves on http://{address}, ready in {seconds:.1} s. Ctrl-C stops it.

Paste into another terminal:

  export BUS=http://{address} INTENT_API_KEY={key}
  export INTENT_BUS_URL=$BUS INTENT_ADMIN_TOKEN={admin}{metrics}

  # publish an intent
  curl -s -X POST $BUS/intent -H \"X-API-KEY: $INTENT_API_KEY\" -d '{{\"goal\": \"greet\", \"payload\": {{\"name\": \"world\"}}}}'

  # claim it, here or on any machine, and keep its id and token
  CLAIM=$(curl -s -X POST \"$BUS/claim?goal=greet\" -H \"X-API-KEY: $INTENT_API_KEY\"); echo \"$CLAIM\"
  ID=$(echo \"$CLAIM\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/'); TOKEN=$(echo \"$CLAIM\" | sed 's/.*\"claim_token\":\"\\([^\"]*\\)\".*/\\1/')

  # do the work, then say so
  curl -s -X POST $BUS/fulfill/$ID -H \"X-API-KEY: $INTENT_API_KEY\" -d \"{{\\\"claim_token\\\": \\\"$TOKEN\\\", \\\"result\\\": \\\"hello, world\\\"}}\"

  # read the result
  curl -s $BUS/result/$ID -H \"X-API-KEY: $INTENT_API_KEY\"

{database}Dashboard: http://{address}/admin/dashboard   user admin, password {password}
API:       http://{address}/docs/
",
        seconds = took.as_secs_f64(),
        key = auth.root.expose_secret(),
    );
}
