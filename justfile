# Lists the recipes.
default:
    @just --list

# All that CI checks.
ci:
    bash .ci/run

# Formats the code.
fmt:
    cargo fmt --all

# Clippy, warnings are errors.
lint:
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    cargo clippy --no-default-features --features cli --locked -- -D warnings

# All tests, or those whose name holds a text: just test lease
test name="":
    cargo test --workspace --locked {{ name }}

# The bus, pgbench's limit and the peers on this machine, for example: just bench-compare --rounds 3
bench-compare *arguments:
    benches/compare {{ arguments }}

# The crates' documentation, warnings are errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Licences, bans and sources of the dependencies (needs cargo-deny).
deny:
    cargo deny check bans licenses sources

# Runs the snippets of the documents as written.
snippets:
    cargo build --locked
    .ci/snippets README.md docs/protocol.md docs/cli.md docs/workers.md

# The Helm chart: rendered, validated, installed on a stand-in cluster.
chart *arguments:
    bash .ci/chart {{ arguments }}

# Dashboards, alerts and runbook, held together and against two replicas under load and a real Prometheus.
sight *arguments:
    bash .ci/sight {{ arguments }}

# Writes the dashboards, and the chart's copies of them and of the alerts.
dashboards:
    bash .ci/sight --write

# The image, run as a cautious operator would.
image:
    bash .ci/image

# Compose for real, on that image: a replica killed and all replaced under load.
compose *arguments:
    .ci/compose {{ arguments }}

# The bus with a Postgres of its own, for example: just dev --ephemeral
dev *arguments:
    cargo run --locked -- dev {{ arguments }}

# What a claim reads in front of so many open intents that it may not take.
explain rows="1000000":
    EXPLAIN_ROWS={{ rows }} cargo test --locked --test it explain -- --nocapture
