//! `intent-bus check`: takes one intent through a bus that runs, signed, from its publication to its result. `intent-bus health`
//! asks a replica whether it is ready. Both are for machines that have nothing else to ask with: an image without a shell.

use std::{
    net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs},
    process::ExitCode,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http::{Method, Request, Uri, header::HOST};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::timeout;

use crate::{
    bench::{
        connection::{Answer, Connection, Endpoint},
        operations::{Requests, random_hex, refusal, target_of},
    },
    config,
    error::{Error, Result},
};

/// How long `health` waits: shorter than what probes allow by default.
const HEALTHY_IN: Duration = Duration::from_secs(3);
/// How long `check` may take in all.
const DONE_IN: Duration = Duration::from_secs(30);

/// What `check` is told.
#[derive(Args)]
pub struct Check {
    /// The bus: http://host:port.
    #[arg(value_name = "URL")]
    url: String,
    /// The API key. By default the root key among the settings (`BUS_SECRET`, or `BUS_SECRET_FILE`).
    #[arg(long, env = "INTENT_API_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// What `health` is told.
#[derive(Args)]
pub struct Health {
    /// The replica: http://host:port. By default the one that these settings start, on this machine.
    #[arg(value_name = "URL")]
    url: Option<String>,
}

/// Takes an intent through the bus.
///
/// # Errors
/// At the first step that does not go as it should, with what was answered.
#[allow(clippy::print_stdout, reason = "the command's answer")]
pub fn check(arguments: Check) -> Result<ExitCode> {
    let key = match arguments.key.filter(|key| !key.is_empty()) {
        Some(key) => key,
        None => config::root_key()
            .map_err(|error| Error::invalid(error.to_string()))?
            .map(|key| key.expose_secret().to_owned())
            .ok_or_else(|| Error::invalid("Give the API key as INTENT_API_KEY, BUS_SECRET or BUS_SECRET_FILE."))?,
    };
    let id = in_time(DONE_IN, async {
        let connection = Connection::open(Rc::new(Endpoint::parse(&arguments.url)?)).await?;
        Bus { connection, requests: Requests::new(key, true)? }.pass_one().await
    })?;
    println!("The intent {id} was published, claimed and fulfilled, and its result read.");
    Ok(ExitCode::SUCCESS)
}

/// Asks whether a replica is ready.
///
/// # Errors
/// When it is not, or does not answer.
#[allow(clippy::print_stdout, reason = "the command's answer")]
pub fn health(arguments: Health) -> Result<ExitCode> {
    let url = match arguments.url {
        Some(url) => url,
        None => here(&config::listens_at().map_err(|error| Error::invalid(error.to_string()))?)?,
    };
    let answer = in_time(HEALTHY_IN, async {
        let mut connection = Connection::open(Rc::new(Endpoint::parse(&url)?)).await?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = Uri::from_static("/readyz");
        request.headers_mut().insert(HOST, connection.endpoint.authority.clone());
        connection.send(request).await.map_err(|broken| Error::invalid(format!("{url} broke off: {broken}")))
    })?;
    if !answer.status.is_success() {
        return Err(Error::invalid(format!("{url} is not ready: {}", refusal(&answer.body))));
    }
    println!("{url} is ready.");
    Ok(ExitCode::SUCCESS)
}

/// The address at which a replica can be reached that listens there, from the same machine.
fn here(listen: &str) -> Result<String> {
    let mut address = listen
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| Error::invalid(format!("BUS_LISTEN is no address: {listen:?}")))?;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    Ok(format!("http://{address}"))
}

fn in_time<T>(time: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::fault)?;
    runtime.block_on(async {
        timeout(time, work)
            .await
            .unwrap_or_else(|_| Err(Error::invalid(format!("There was no answer within {} s.", time.as_secs()))))
    })
}

/// A bus to be asked.
struct Bus {
    connection: Connection,
    requests: Requests,
}

impl Bus {
    /// Gives the id of the intent.
    async fn pass_one(&mut self) -> Result<String> {
        #[derive(Deserialize)]
        struct Published {
            id: String,
        }
        #[derive(Deserialize)]
        struct Claimed {
            id: String,
            payload: Box<RawValue>,
            claim_token: String,
        }
        // For this worker alone: others may take any goal.
        let mark = random_hex()?;
        let goal = format!("intent-bus-check-{mark}");
        let payload = format!(r#"{{"check":"{mark}"}}"#);
        let body = json!({"goal": goal, "payload": {"check": mark}, "target_worker": goal});
        let published: Published = self.ask(Method::POST, "/intent", Some(&body)).await?;
        let claimed: Claimed = self.ask(Method::POST, &format!("/claim?goal={goal}&worker_id={goal}"), None).await?;
        if claimed.id != published.id || claimed.payload.get() != payload {
            return Err(Error::invalid("What was claimed is not what was published."));
        }
        let body = json!({"claim_token": claimed.claim_token, "result": {"check": mark}});
        let _: Value = self.ask(Method::POST, &format!("/fulfill/{}", claimed.id), Some(&body)).await?;
        let read: Value = self.ask(Method::GET, &format!("/result/{}", claimed.id), None).await?;
        if read["result"] != json!({"check": mark}) {
            return Err(Error::invalid(format!("The result that was read is not the one that was sent: {read}")));
        }
        Ok(claimed.id)
    }

    async fn ask<T: for<'a> Deserialize<'a>>(
        &mut self,
        method: Method,
        target: &str,
        body: Option<&Value>,
    ) -> Result<T> {
        let step = format!("{method} {target}");
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let target = target_of(target.to_owned())?;
        let request = self.requests.request(method, &self.connection.endpoint.authority, &target, body);
        let answer: Answer = self
            .connection
            .send(request)
            .await
            .map_err(|broken| Error::invalid(format!("{step}: the connection broke: {broken}")))?;
        if !matches!(answer.status.as_u16(), 200 | 201) {
            return Err(Error::invalid(format!("{step} was answered {}: {}", answer.status, refusal(&answer.body))));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| Error::invalid(format!("{step}: the answer is not of this protocol.")).because(error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_listens_everywhere_is_asked_on_loopback() {
        assert_eq!(here("0.0.0.0:5000").unwrap(), "http://127.0.0.1:5000");
        assert_eq!(here("[::]:5001").unwrap(), "http://[::1]:5001");
        assert_eq!(here("10.0.0.7:80").unwrap(), "http://10.0.0.7:80");
        assert!(here("bus").is_err());
    }
}
