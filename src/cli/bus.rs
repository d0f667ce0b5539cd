//! What every command is told about the bus: where it is, with which key, and how to print.

use std::path::PathBuf;

use clap::Args;
use intent_bus_client::{ClientBuilder, IntentClient, admin::Admin};

use super::exit::{Exit, Failure};

/// The variable with the operator's token.
const ADMIN_TOKEN: &str = "INTENT_ADMIN_TOKEN";

/// Where the bus is, and with which key. The key itself is never an argument: every user of a machine sees those.
#[derive(Args)]
pub(super) struct Bus {
    /// The address of the bus, such as <https://bus.example>.
    #[arg(long, global = true, env = "INTENT_BUS_URL", value_name = "URL")]
    pub(super) url: Option<String>,
    /// A file with the API key. Without it the key is that of `INTENT_API_KEY`, or of the file `~/.apikey`.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Bus {
    pub(super) fn client(&self) -> Result<IntentClient, Failure> {
        Ok(self.builder()?.build()?)
    }

    pub(super) fn builder(&self) -> Result<ClientBuilder, Failure> {
        let Some(url) = &self.url else {
            return Err(Failure::usage("Where is the bus? Say it by --url URL or INTENT_BUS_URL."));
        };
        let builder =
            IntentClient::builder().base_url(url).user_agent(concat!("intent-bus/", env!("CARGO_PKG_VERSION")));
        Ok(match &self.key_file {
            Some(file) => builder.key_file(file),
            None => builder,
        })
    }
}

/// How operators come in.
#[derive(Args)]
pub(super) struct Operator {
    /// A file with the token of operators (`BUS_ADMIN_SECRET` of the bus). Without it: that of `INTENT_ADMIN_TOKEN`.
    #[arg(long, global = true, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

impl Operator {
    pub(super) fn admin(&self, bus: &Bus) -> Result<Admin, Failure> {
        if let Some(file) = &self.admin_token_file {
            return Ok(bus.builder()?.build_admin_from_file(file)?);
        }
        let token = std::env::var(ADMIN_TOKEN).unwrap_or_default();
        let token = token.trim();
        if token.is_empty() {
            let how = "This is for operators. Give their token in INTENT_ADMIN_TOKEN or by --admin-token-file FILE.";
            return Err(Failure::new(Exit::Denied, how));
        }
        Ok(bus.builder()?.build_admin(token)?)
    }
}
