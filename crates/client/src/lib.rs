#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

// How a call goes: `client` and the builders of `publish` and `claim` make a `Call`; `transport` signs it (`signing`), sends
// it and reads the answer; `retry` says when it is sent again; `finish` finds out what became of a finish without an answer.
// `worker` stands on all of it.

#[cfg(feature = "admin")]
pub mod admin;
#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod claim;
mod client;
mod credentials;
mod error;
mod finish;
mod health;
mod publish;
mod retry;
pub mod signing;
mod status;
mod tls;
mod transport;
pub mod worker;

pub use builder::ClientBuilder;
pub use claim::{Claim, Claimed};
pub use client::IntentClient;
pub use error::{Error, NetworkError, Refusal, Result};
pub use finish::FailedAs;
pub use health::Health;
pub use publish::{NewIntent, Publish, PublishMany, PublishOutcome, Published};
pub use retry::RetryPolicy;
pub use serde_json::value::RawValue;
pub use status::{IntentResult, IntentState, IntentStatus};
pub use worker::{Ended, Fate, Job, Outcome, Worker};
