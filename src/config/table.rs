//! Every setting, documented here and nowhere else: `docs/configuration.md` is this table, and a test holds them together.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the environment. `NAME_FILE` names a file that holds the value. In the settings file it stands in lower
    /// case without `BUS_`.
    pub name: &'static str,
    /// The value in force when nothing is set. Empty: none.
    pub default: &'static str,
    /// Never shown.
    pub secret: bool,
    /// What it does, its unit and range.
    pub doc: &'static str,
}

impl Setting {
    /// Its name in the settings file.
    #[must_use]
    pub fn key(&self) -> String {
        self.name.trim_start_matches("BUS_").to_lowercase()
    }
}

const fn plain(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting { name, default, secret: false, doc }
}

const fn secret(name: &'static str, doc: &'static str) -> Setting {
    Setting { name, default: "", secret: true, doc }
}

/// Every setting, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    secret(
        "DATABASE_URL",
        "The Postgres to use, as a URL or in libpq's `key=value` form. Required. `sslmode` and `sslrootcert` as for libpq, but `verify-ca` checks the host's name too, as `verify-full` does.",
    ),
    secret(
        "DATABASE_DIRECT_URL",
        "The same database past a pool in transaction mode (PgBouncer from 1.21 on with `max_prepared_statements`), if `DATABASE_URL` leads through one: for migrations and signals. With it the role gets the settings of the bus's sessions by `ALTER ROLE ... SET`, from the migration. Unset: `DATABASE_URL` leads to Postgres itself.",
    ),
    plain(
        "BUS_DATABASE_POOL_SIZE",
        "8",
        "Connections to Postgres that a replica holds at most, 2 to 200. More than a few for each core of the database gain nothing.",
    ),
    plain(
        "BUS_MIGRATE",
        "true",
        "Apply missing migrations at the start. `false`: wait, not ready, until `intent-bus migrate` has applied them. Here and wherever else it is `true` or `false`: `1`, `yes` and `on` are `true`, `0`, `no` and `off` are `false`.",
    ),
    secret(
        "BUS_SECRET",
        "The root key, which clients send as `X-API-KEY`. Required, at least 16 characters; well-known values are refused.",
    ),
    secret(
        "BUS_ADMIN_SECRET",
        "Admin requests show it as `X-Admin-Token`. At least 16 characters. Unset: that way is closed.",
    ),
    secret(
        "DASHBOARD_PASSWORD",
        "The password of user `admin` on the dashboard (HTTP Basic). At least 8 characters. Unset: that way is closed.",
    ),
    secret(
        "BUS_METRICS_TOKEN",
        "`GET /metrics` accepts it as a bearer token. At least 16 characters. Unset: only admins may read it there.",
    ),
    plain("BUS_LISTEN", "0.0.0.0:5000", "Address and port of the bus. Port 0 takes a free one."),
    plain(
        "BUS_METRICS_LISTEN",
        "0.0.0.0:9090",
        "Address and port of the same metrics without a token, for scraping inside a cluster. `off` closes it.",
    ),
    plain(
        "BUS_WORKERS",
        "0",
        "Threads that serve requests, 1 to 256. 0: one less than there are cores, since one more thread brings requests to the database, but one at least.",
    ),
    plain(
        "BUS_KEEP_ALIVE_SECONDS",
        "75",
        "How long an idle connection is kept, 1 to 3600 s. Longer than the load balancer in front keeps it, or requests get lost between the two.",
    ),
    plain(
        "BUS_DRAIN_SECONDS",
        "5",
        "After SIGTERM the replica answers `/readyz` with 503 and goes on serving for so long, so that the load balancer notices. 0 to 3600. SIGINT skips this.",
    ),
    plain("BUS_SHUTDOWN_SECONDS", "30", "After that, requests under way get so long to finish. 1 to 3600."),
    plain(
        "BUS_LOG",
        "info",
        "What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,intent_bus::requests=debug`. See [tracing.md](tracing.md#the-log).",
    ),
    plain(
        "BUS_LOG_FORMAT",
        "json",
        "`json` or `pretty`, which is for people: coloured on a terminal, unless `NO_COLOR` is set.",
    ),
    plain(
        "BUS_TRACE_URL",
        "",
        "Where people look at traces: the URL of a page with `{trace_id}` in it, such as `https://traces.example/trace/{trace_id}`. The dashboard links to it. Unset: it shows the id to copy.",
    ),
    plain("BUS_PROTOCOL", "1.1", "The protocol generation of requests that do not declare theirs: `1.1` or `2.1`."),
    plain("BUS_REQUIRE_SIGNATURES", "false", "Refuse client requests that are not signed."),
    plain(
        "BUS_ENFORCE_HTTPS",
        "false",
        "Refuse requests that did not reach the proxy by HTTPS. Needs `BUS_TRUST_PROXY`.",
    ),
    plain(
        "BUS_TRUST_PROXY",
        "false",
        "Whose `X-Forwarded-Proto` is believed: `false` nobody's, `true` everybody's (only where nobody but the proxy reaches the bus), or a list of addresses and networks, such as `10.0.0.0/8,192.168.1.7`.",
    ),
    plain(
        "BUS_MAINTENANCE_MODE",
        "false",
        "Answer client requests with 503 `maintenance`. Probes, metrics and admin requests go on.",
    ),
    plain("BUS_CLAIM_TIMEOUT_SECONDS", "60", "Length of a lease, 1 to 86400 s."),
    plain(
        "BUS_INTENT_TTL_SECONDS",
        "86400",
        "An intent that nobody has claimed for so long after it could have been is dead. 60 to 31536000 s.",
    ),
    plain("BUS_RETENTION_DAYS", "7", "Days for which fulfilled and dead intents are kept, 1 to 365."),
    plain(
        "BUS_RATE_LIMIT_PER_MINUTE",
        "60",
        "Requests that a tenant may make in any 60 s, 1 to 1000000000, unless its key has a limit of its own. The root key has none.",
    ),
    plain(
        "BUS_MAX_OPEN_INTENTS",
        "2000",
        "Unfinished intents that a tenant may have, 1 to 1000000000, unless its key has a limit of its own. The root key has none.",
    ),
    plain(
        "BUS_MAX_PAYLOAD_BYTES",
        "262144",
        "Bytes of a payload, a result or a value, 1024 to 16777216. A body may be 64 KiB longer.",
    ),
    plain("BUS_REQUEST_TIMEOUT_SECONDS", "15", "How long a client may take to send its request, 1 to 300 s."),
    plain(
        "BUS_CLEANUP_INTERVAL_SECONDS",
        "30",
        "Pause between two passes of maintenance, 1 to 3600 s. Leases need none: they end by themselves.",
    ),
];
