//! What every command is told about the bus: where it is, with which key, and how to print.

use std::{env, path::PathBuf};

use clap::Args;
use intent_bus_client::{ClientBuilder, IntentClient, admin::Admin};

use super::exit::Failure;

/// The variable with the address.
const URL: &str = "INTENT_BUS_URL";
/// The variable with the key.
const KEY: &str = "INTENT_API_KEY";
/// The variable with the operators' token.
const ADMIN_TOKEN: &str = "INTENT_ADMIN_TOKEN";

/// Where the bus is, and with which key. The key itself is never an argument: every user of a machine sees those.
#[derive(Args)]
pub(super) struct Bus {
    // The variable is read here and not by `clap`, which would name the option as one that has to be given.
    /// The address of the bus, such as <https://bus.example>. Without it: that of `INTENT_BUS_URL`.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// A file with the API key. Without it the key is that of `INTENT_API_KEY`, or of the file `~/.apikey`.
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Bus {
    pub(super) fn client(&self) -> Result<IntentClient, Failure> {
        Ok(self.builder()?.build()?)
    }

    pub(super) fn builder(&self) -> Result<ClientBuilder, Failure> {
        let builder =
            IntentClient::builder().base_url(self.url()?).user_agent(concat!("intent-bus/", env!("CARGO_PKG_VERSION")));
        Ok(match &self.key_file {
            Some(file) => builder.key_file(file),
            None => builder,
        })
    }

    /// The address as it was given.
    pub(super) fn url(&self) -> Result<String, Failure> {
        let given = self.url.clone().or_else(|| env::var(URL).ok()).unwrap_or_default();
        let url = given.trim();
        if url.is_empty() {
            return Err(Failure::usage("Where is the bus? Say it by --url URL or INTENT_BUS_URL."));
        }
        if !["http://", "https://"].iter().any(|scheme| url.to_ascii_lowercase().starts_with(scheme)) {
            // Without the text: somebody may have put a password into it, or into its place.
            let wrong = "The address of the bus begins with neither https:// nor http://. It looks like \
                         https://bus.example, and is that of --url or INTENT_BUS_URL.";
            return Err(Failure::usage(wrong));
        }
        Ok(url.to_owned())
    }

    /// Where the key comes from.
    pub(super) fn key_source(&self) -> String {
        match &self.key_file {
            Some(file) => file.display().to_string(),
            None if is_set(KEY) => KEY.to_owned(),
            None => "~/.apikey".to_owned(),
        }
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
    /// Whether there is a token.
    pub(super) fn is_given(&self) -> bool {
        self.admin_token_file.is_some() || is_set(ADMIN_TOKEN)
    }

    pub(super) fn admin(&self, bus: &Bus) -> Result<Admin, Failure> {
        if let Some(file) = &self.admin_token_file {
            return Ok(bus.builder()?.build_admin_from_file(file)?);
        }
        let token = env::var(ADMIN_TOKEN).unwrap_or_default();
        let token = token.trim();
        if token.is_empty() {
            let how = "This is for operators. Give their token in INTENT_ADMIN_TOKEN or by --admin-token-file FILE.";
            return Err(Failure::usage(how));
        }
        Ok(bus.builder()?.build_admin(token)?)
    }

    /// Where the token comes from.
    pub(super) fn source(&self) -> String {
        self.admin_token_file.as_ref().map_or_else(|| ADMIN_TOKEN.to_owned(), |file| file.display().to_string())
    }

    /// What a refused token means: the bus itself speaks to whoever sends none, too.
    pub(super) fn refused(&self) -> String {
        let source = self.source();
        format!(
            "The operators' token of {source} is refused: it is not the BUS_ADMIN_SECRET of this bus, or the bus has none."
        )
    }
}

fn is_set(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| !value.trim().is_empty())
}
