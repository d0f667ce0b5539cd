//! Every statement is prepared on the migrated schema, and the types of its parameters and columns are kept as a snapshot:
//! what does not fit the schema any more, or a type that changes unnoticed, shows here and not in production.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use intent_bus::store::statements;

use crate::support::TestDb;

fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            files.push(path);
        }
    }
    files
}

#[tokio::test]
async fn every_statement_fits_the_schema() {
    let db = TestDb::create().await;
    let session = db.session().await;
    let mut text = String::new();
    for (name, sql) in statements::all() {
        let statement = session.prepare(sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        writeln!(text, "{name}").unwrap();
        for (number, kind) in statement.params().iter().enumerate() {
            writeln!(text, "  ${} {kind}", number + 1).unwrap();
        }
        for column in statement.columns() {
            writeln!(text, "  → {} {}", column.name(), column.type_()).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_sql_file_is_a_statement_and_every_statement_is_a_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let files: BTreeSet<String> = files_below(&folder, "sql")
        .iter()
        .map(|file| file.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned())
        .collect();
    let listed = statements::all().into_iter().map(|(name, _)| name.split(',').next().unwrap().to_owned());
    // No statement of its own, but the beginning of several.
    let listed: BTreeSet<String> = listed.chain(["admission/admit_all.sql".to_owned()]).collect();
    assert_eq!(files, listed);
}

#[test]
fn every_statement_opens_with_a_comment_that_names_its_parameters() {
    for (name, sql) in statements::all() {
        let head: String = sql.lines().take_while(|line| line.starts_with("--")).collect();
        assert!(!head.is_empty(), "{name} has no comment");
        let body = sql.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        let highest = (1..=30).rev().find(|number| body.contains(&format!("${number}"))).unwrap_or(0);
        for number in [1, highest].into_iter().filter(|_| highest > 0) {
            let covered = head.contains(&format!("${number}"));
            assert!(covered, "{name} does not say what ${number} is");
        }
    }
}
