//! What only containers show: the whole suite on the Postgres of an image, and replicas that have networks of their own. Where there
//! is no engine, or an image can neither be found nor pulled, each says so in a line and passes.
//!
//! - `TEST_POSTGRES_IMAGES`: images of Postgres for the suite, with commas. By default `postgres:18`; each takes as long as the suite.
//! - `TEST_BUS_IMAGE`: the image of the cluster's replicas. By default `intent-bus:ci`, which `.ci/image` builds.
//! - `TEST_PREVIOUS_IMAGE`: what the rolling upgrade comes from. By default the same image: a rolling restart.
//! - `TEST_BALANCER_IMAGE`: the load balancer. By default `haproxy:3.2`, as in `deploy/compose.yaml`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod books;
mod cluster;
mod docker;
mod http;
mod scenarios;
mod suite;
