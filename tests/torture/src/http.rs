//! HTTP as plainly as it can be had: one request, one answer, nothing tried again behind anybody's back. The bus's own client is
//! not used here, because it is good at hiding what these programs look for.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, header::RETRY_AFTER};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// A request, as it can be sent to any replica, and sent again byte for byte.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// Empty if there is none.
    pub body: String,
}

/// An answer that has come in whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Seconds.
    pub retry_after: Option<u32>,
    /// Its body.
    pub body: Bytes,
}

/// Connections that are kept and shared.
#[derive(Debug, Clone)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

impl Default for Http {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(2)));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.retry_canceled_requests(false).pool_max_idle_per_host(256);
        Self(builder.build(connector))
    }
}

impl Http {
    /// Sends it, and gives the answer; or says in a few words why there is none.
    pub async fn send(&self, to: SocketAddr, request: &Request, patience: Duration) -> Result<Answer, String> {
        let mut builder = hyper::Request::builder().method(&request.method).uri(format!("http://{to}{}", request.path));
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let body = Full::new(Bytes::from(request.body.clone()));
        let request = builder.body(body).map_err(|error| error.to_string())?;
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| {
                (if error.is_connect() { "no connection" } else { "a connection that broke" }).to_owned()
            })?;
            let status = answer.status().as_u16();
            let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let body = answer.into_body().collect().await.map_err(|_| "an answer that broke off".to_owned())?;
            Ok(Answer { status, retry_after: seconds, body: body.to_bytes() })
        };
        tokio::time::timeout(patience, exchange).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }
}
