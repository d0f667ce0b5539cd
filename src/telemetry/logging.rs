//! Log lines on standard output, for machines or for people.

use tracing_subscriber::EnvFilter;

/// Libraries that say too much, unless the filter names them: broken HTTP is an error to `actix_http`, so that anybody could
/// fill the log with errors.
const QUIET: &str = "actix_http=off,actix_server=warn,tokio_postgres=warn";

/// Sets the process up to log. `filter`: a level, or a filter by module. Later calls change nothing.
pub fn init(filter: &str, pretty: bool) {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter);
    // It fails when a subscriber is set already, as in tests that run several servers in one process.
    let _ = if pretty { logs.compact().try_init() } else { logs.json().flatten_event(true).try_init() };
}
