//! The suite `it`, as it is, on the Postgres of each image.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use testcontainers::{ContainerAsync, GenericImage, ImageExt, core::IntoContainerPort, runners::AsyncRunner};

use crate::docker::{alone, has, name_and_tag, say, setting};

/// How long a Postgres may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Postgres with room for a suite, and its address. Its data need not survive.
async fn postgres(image: &str) -> (ContainerAsync<GenericImage>, String) {
    let (name, tag) = name_and_tag(image);
    let container = GenericImage::new(name, tag)
        .with_exposed_port(5432.tcp())
        .with_env_var("POSTGRES_PASSWORD", "of-a-database-on-loopback")
        .with_cmd(["postgres", "-c", "max_connections=400", "-c", "fsync=off", "-c", "full_page_writes=off"])
        .start()
        .await
        .unwrap_or_else(|error| panic!("{image}: {error}"));
    let port = container.get_host_port_ipv4(5432).await.expect("a port");
    let url = format!("postgresql://postgres:of-a-database-on-loopback@127.0.0.1:{port}/postgres");
    let deadline = Instant::now() + PATIENCE;
    // An image of Postgres starts its server twice, and the first one is not reached from outside.
    while let Err(error) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await {
        assert!(Instant::now() < deadline, "{image}: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (container, url)
}

/// The newest build of the suite, beside this one.
fn suite() -> PathBuf {
    let folder = std::env::current_exe().expect("this program").parent().expect("its folder").to_owned();
    let programs = std::fs::read_dir(folder).expect("the folder").flatten().filter(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.starts_with("it-") && !name.contains('.')
    });
    programs
        .max_by_key(|file| file.metadata().and_then(|of| of.modified()).expect("when it was built"))
        .expect("the suite `it` is built before: cargo test --no-run")
        .path()
}

#[tokio::test]
async fn the_suite_holds_on_the_postgres_of_each_image() {
    let _alone = alone().await;
    let images = setting("TEST_POSTGRES_IMAGES", "postgres:18");
    for image in images.split(',') {
        if !has(&format!("the suite on {image}"), &[image]) {
            continue;
        }
        let (_container, url) = postgres(image).await;
        let began = Instant::now();
        // Without what has no database of the suite's, or is about other things than it.
        let output = Command::new(suite())
            .args(["--skip", "processes::dev", "--skip", "processes::python", "--skip", "processes::wire"])
            .env("TEST_DATABASE_URL", url)
            .stdin(Stdio::null())
            .output()
            .expect("the suite starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let end: String =
            said.lines().filter(|line| line.starts_with("test result") || line.contains("FAILED")).collect();
        say(&format!("{image}: {end} ({} s)", began.elapsed().as_secs()));
        assert!(output.status.success(), "on {image}:\n{said}");
    }
}
