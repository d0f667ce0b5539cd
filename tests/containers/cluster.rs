//! A Postgres, three replicas of our image and a load balancer, on networks of their own: clients see the balancer only, and the
//! balancer does not see the database.

use std::time::{Duration, Instant};

use testcontainers::{ContainerAsync, GenericImage, ImageExt, core::IntoContainerPort, runners::AsyncRunner};

use crate::{
    docker::{Network, docker, has, name_and_tag, setting},
    http::http,
};

/// The root key of a bus that nobody else reaches.
pub(crate) const KEY: &str = "of-a-bus-in-containers-0123456789";
/// The leases of that bus: short, so that what was lost comes back while somebody looks.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// How many replicas.
const REPLICAS: usize = 3;
/// How long anything may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a replica drains.
const DRAINED_IN: i32 = 40;

/// What runs.
pub(crate) struct Cluster {
    pub(crate) url: String,
    pub(crate) replicas: Vec<ContainerAsync<GenericImage>>,
    pub(crate) postgres: ContainerAsync<GenericImage>,
    _balancer: ContainerAsync<GenericImage>,
    // Dropped last: a network can go when nobody is in it.
    back: Network,
    front: Network,
}

fn bus_image() -> String {
    setting("TEST_BUS_IMAGE", "intent-bus:ci")
}

fn previous_image() -> String {
    setting("TEST_PREVIOUS_IMAGE", &bus_image())
}

fn balancer_image() -> String {
    setting("TEST_BALANCER_IMAGE", "haproxy:3.2")
}

fn postgres_image() -> String {
    let images = setting("TEST_POSTGRES_IMAGES", "postgres:18");
    images.split(',').next().unwrap_or_default().to_owned()
}

/// The balancer of `deploy/compose.yaml`, as it is there.
const BALANCING: &str = include_str!("../../deploy/haproxy/haproxy.cfg");

impl Cluster {
    /// Starts it with replicas of this image. None, and a line that says so: something that it needs is not there.
    pub(crate) async fn start(scenario: &str) -> Option<Self> {
        let images = [bus_image(), previous_image(), balancer_image(), postgres_image()];
        if !has(scenario, &images.iter().map(String::as_str).collect::<Vec<_>>()) {
            return None;
        }
        let name = format!("intent-bus-{scenario}-{}", std::process::id());
        let (back, front) = (Network::create(format!("{name}-back")), Network::create(format!("{name}-front")));
        let (image, tag) = name_and_tag(&postgres_image());
        let postgres = GenericImage::new(image, tag)
            .with_exposed_port(5432.tcp())
            .with_network(&back.0)
            .with_env_var("POSTGRES_PASSWORD", KEY)
            .with_container_name(format!("{name}-postgres"))
            .with_hostname("postgres")
            .start()
            .await
            .expect("Postgres starts");
        let mut replicas = Vec::new();
        for number in 0..REPLICAS {
            replicas.push(replica(&previous_image(), &name, number, &back, &front).await);
        }
        let (image, tag) = name_and_tag(&balancer_image());
        let balancer = GenericImage::new(image, tag)
            .with_exposed_port(5000.tcp())
            .with_network(&front.0)
            .with_copy_to("/usr/local/etc/haproxy/haproxy.cfg", BALANCING.as_bytes().to_vec())
            .start()
            .await
            .expect("the balancer starts");
        let port = balancer.get_host_port_ipv4(5000).await.expect("a port");
        let cluster =
            Self { url: format!("http://127.0.0.1:{port}"), replicas, postgres, _balancer: balancer, back, front };
        cluster.is_ready().await;
        Some(cluster)
    }

    /// Until every replica is ready, and the balancer hands on.
    pub(crate) async fn is_ready(&self) {
        for replica in &self.replicas {
            let port = replica.get_host_port_ipv4(5000).await.expect("a port");
            ready(&format!("http://127.0.0.1:{port}")).await;
        }
        ready(&self.url).await;
    }

    /// Takes a replica's way to the database.
    pub(crate) fn cut_off(&self, replica: usize) {
        self.back.disconnect(self.replicas[replica].id());
    }

    /// Gives it back.
    pub(crate) fn connect(&self, replica: usize) {
        self.back.connect(self.replicas[replica].id(), &format!("bus-{replica}"));
    }

    /// Replaces a replica by one of the newest image, as a rolling upgrade does: told to stop, given its time, and the next one
    /// in its place before anybody else is touched.
    pub(crate) async fn upgrade(&mut self, number: usize, name: &str) {
        let old = self.replicas.remove(number);
        old.stop_with_timeout(Some(DRAINED_IN)).await.expect("it stops");
        old.rm().await.expect("it goes");
        let new = replica(&bus_image(), name, number, &self.back, &self.front).await;
        self.replicas.insert(number, new);
        self.is_ready().await;
    }

    /// Runs SQL as the owner.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let arguments = ["exec", self.postgres.id(), "psql", "-U", "postgres", "-XAtqc", sql];
        docker(&arguments).unwrap_or_else(|| panic!("{sql}"))
    }
}

/// Until a replica, or the balancer in front of some, says that it is ready.
async fn ready(url: &str) {
    let http = http().build().expect("an HTTP client");
    let deadline = Instant::now() + PATIENCE;
    while !matches!(http.get(format!("{url}/readyz")).send().await, Ok(answer) if answer.status().is_success()) {
        assert!(Instant::now() < deadline, "{url} does not get ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn replica(
    image: &str,
    name: &str,
    number: usize,
    back: &Network,
    front: &Network,
) -> ContainerAsync<GenericImage> {
    let (image, tag) = name_and_tag(image);
    let container = GenericImage::new(image, tag)
        .with_exposed_port(5000.tcp())
        .with_network(&back.0)
        .with_container_name(format!("{name}-bus-{number}"))
        .with_env_var("DATABASE_URL", format!("postgresql://postgres:{KEY}@{name}-postgres/postgres"))
        .with_env_var("BUS_SECRET", KEY)
        .with_env_var("BUS_CLAIM_TIMEOUT_SECONDS", LEASE.as_secs().to_string())
        .with_env_var("BUS_DRAIN_SECONDS", "3")
        .with_env_var("BUS_CLEANUP_INTERVAL_SECONDS", "2")
        .with_readonly_rootfs(true)
        .with_cap_drop("ALL")
        .with_security_opt("no-new-privileges")
        .start()
        .await
        .expect("a replica starts");
    // The name by which the balancer finds them all.
    front.connect(container.id(), "bus");
    container
}
