//! What a bus tells of itself to whoever asks.

use intent_bus_protocol::headers;
use serde::Deserialize;

use crate::{client::IntentClient, error::Result, transport::Call};

/// The answer to `GET /health`. What an older server leaves out is `None`.
///
/// ```no_run
/// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
/// let health = bus.health().await?;
/// println!("version {:?}, protocol {:?}", health.version, health.protocol);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// The clock of the replica that answered, in unix seconds. Signed requests are judged by that of its database, which
    /// should be the same.
    #[serde(default)]
    pub ts: Option<f64>,
    /// The version of the server.
    #[serde(default)]
    pub version: Option<String>,
    /// The version of the protocol that the answer declares.
    #[serde(skip)]
    pub protocol: Option<String>,
}

impl IntentClient {
    /// How the bus is. Asked once, and not again: what goes wrong is what was asked for. The bus looks at no key here.
    ///
    /// # Errors
    /// [`Error::Network`](crate::Error::Network) when there is no answer, [`Error::Protocol`](crate::Error::Protocol) when it is
    /// not that of a bus.
    ///
    /// ```no_run
    /// # async fn example(bus: intent_bus_client::IntentClient) -> intent_bus_client::Result<()> {
    /// let version = bus.health().await?.version;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn health(&self) -> Result<Health> {
        let answer = self.transport.send(&Call::get("/health".to_owned())?).await?;
        let mut health: Health = answer.json("the question for health")?;
        let declared = answer.headers.get(headers::INTENT_VERSION);
        health.protocol = declared.and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        Ok(health)
    }
}
