//! `docs/configuration.md` is the table of settings, written out. `UPDATE_DOCS=1 cargo test --test it config` writes it.

use std::{fmt::Write, path::Path};

use intent_bus::config::table::{SETTINGS, Setting};

const HEAD: &str = "# Settings

Written from `src/config/table.rs` by `UPDATE_DOCS=1 cargo test --test it config`; a test holds the two together.

A setting is read from the environment by its name, or from the file that `NAME_FILE` names (for mounted secrets), or from
the settings file that `--config` or `BUS_CONFIG` names (TOML, names in lower case without `BUS_`), in this order. A variable
that is set to nothing counts as not set. A name that does not exist, and a value that cannot be used, end the start with a
message that says which. `intent-bus serve --check` shows the values in force, without secrets.

| setting | default | what it does |
|---|---|---|
";

const TAIL: &str = "
Two more are read by the programs around the bus: `BUS_CONFIG` names the settings file, and `BUS_PG_BIN` a folder with the
programs of Postgres for `intent-bus dev`. Where traces go is set by OpenTelemetry's own variables, `OTEL_*`:
[tracing.md](tracing.md) lists them.

```toml
# The same settings in a file.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for setting in SETTINGS {
        let default = if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
        let secret = if setting.secret { " Secret: never shown." } else { "" };
        writeln!(page, "| `{}` | {default} | {}{secret} |", setting.name, setting.doc.replace('|', "\\|")).unwrap();
    }
    page.push_str(TAIL);
    for setting in SETTINGS.iter().filter(|setting| !setting.secret).take(4) {
        writeln!(page, "{} = {:?}", setting.key(), setting.default).unwrap();
    }
    page + "```\n"
}

#[test]
fn the_page_of_settings_is_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, page()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page(), "docs/configuration.md is not the table: UPDATE_DOCS=1 cargo test --test it config");
}

#[test]
fn every_setting_is_documented_once_and_in_sentences() {
    for Setting { name, doc, .. } in SETTINGS {
        assert!(doc.ends_with('.'), "{name}: {doc}");
        assert_eq!(SETTINGS.iter().filter(|other| other.name == *name).count(), 1, "{name}");
    }
}
