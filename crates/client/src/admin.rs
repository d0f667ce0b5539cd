//! What operators do: keys and tenants, dead letters, intents, pauses. By the admin token (`BUS_ADMIN_SECRET`), with the feature
//! `admin`. docs/protocol.md describes each call under "For operators".
//!
//! Reads are tried again as everywhere; what changes something only where it was certainly not done.

use std::{fmt, fmt::Write, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method};
pub use intent_bus_protocol::wire;
use intent_bus_protocol::wire::{
    AuditLog, CleanedUp, DeadLetter, DeadLetterDetail, FoundIntents, GeneratedKey, IntentDetail, KeyDetail, Keys,
    Overview, PauseChanged, Pauses, Purged, Redriven, TenantLimits, Workers,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    client::IntentClient,
    error::{Error, Result},
    signing::encoded,
    transport::{Call, Repeat},
};

/// A client with an operator's token. Made by [`IntentClient::admin`] or
/// [`ClientBuilder::build_admin`](crate::ClientBuilder::build_admin).
///
/// ```no_run
/// # async fn example() -> intent_bus_client::Result<()> {
/// use intent_bus_client::{IntentClient, admin::NewKey};
///
/// let admin = IntentClient::builder().base_url("https://bus.example").build_admin("admin-token")?;
/// let key = admin.create_key(&NewKey { owner: Some("ada".to_owned()), ..NewKey::default() }).await?;
/// println!("{}", key.api_key);
/// # Ok(())
/// # }
/// ```
///
/// Keys and tenants:
///
/// ```no_run
/// # async fn example(admin: intent_bus_client::admin::Admin) -> intent_bus_client::Result<()> {
/// use std::time::Duration;
/// use intent_bus_client::admin::Page;
///
/// for key in admin.keys(&Page::default()).await?.keys {
///     println!("{} of tenant {}", key.id, key.tenant);
/// }
/// let next = admin.rotate_key(7, Duration::from_secs(3600)).await?;
/// admin.scope_key(next.id, Some(&["work".to_owned()]), None).await?;
/// admin.set_limits(next.tenant, Some(600), None).await?;
/// admin.revoke_key(next.id).await?;
/// # Ok(())
/// # }
/// ```
///
/// Intents and dead letters:
///
/// ```no_run
/// # async fn example(admin: intent_bus_client::admin::Admin) -> intent_bus_client::Result<()> {
/// use intent_bus_client::admin::{Redrive, Search};
///
/// for found in admin.search(&Search { state: Some("claimable".to_owned()), ..Default::default() }).await?.intents {
///     println!("{:?}", admin.intent(&found.id).await?);
///     admin.cancel(&found.id).await?;
/// }
/// if let Some(letter) = admin.dead().await?.first() {
///     println!("{:?}", admin.dead_letter(&letter.intent_id).await?);
///     admin.retry(&letter.intent_id).await?;
/// }
/// println!("{:?}", admin.redrive(&Redrive::default()).await?);
/// println!("{:?}", admin.purge(Some("scratch"), true).await?);
/// # Ok(())
/// # }
/// ```
///
/// The bus as a whole:
///
/// ```no_run
/// # async fn example(admin: intent_bus_client::admin::Admin) -> intent_bus_client::Result<()> {
/// use intent_bus_client::admin::Page;
///
/// admin.pause("default", Some("resize")).await?;
/// println!("{:?} {:?}", admin.overview().await?, admin.pauses().await?);
/// admin.resume("default", Some("resize")).await?;
/// println!("{:?} {:?}", admin.workers(&Page::default()).await?, admin.audit(&Page::default()).await?);
/// admin.clean_up().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Admin {
    client: IntentClient,
    token: HeaderValue,
}

/// A key to be made: for a new tenant by its `owner`, or for the `tenant` that there is.
///
/// ```
/// let key = intent_bus_client::admin::NewKey {
///     tenant: Some(7),
///     scopes: Some(vec!["publish".to_owned()]),
///     expires_in: Some(86_400),
///     ..Default::default()
/// };
/// # let _ = key;
/// ```
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewKey {
    /// Who the new tenant is, 1 to 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The number of the tenant that gets one more key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<i64>,
    /// What it may be used for, of `publish`, `work`, `read`, `values`. Everything if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// In which namespaces. In all if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
    /// After how many seconds it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// Requests of the new tenant in a minute, in place of the setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_per_minute: Option<u32>,
    /// Unfinished intents of the new tenant, in place of the setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_open_intents: Option<u32>,
}

/// Which intents are looked for. What is `None` does not matter.
///
/// ```
/// let dead = intent_bus_client::admin::Search { state: Some("dead".to_owned()), limit: Some(200), ..Default::default() };
/// # let _ = dead;
/// ```
#[derive(Debug, Clone, Default, Serialize)]
pub struct Search {
    /// Its id.
    pub id: Option<String>,
    /// Its goal.
    pub goal: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// `open`, `claimable`, `waiting`, `claimed`, `fulfilled` or `dead`.
    pub state: Option<String>,
    /// Its publisher's number; 0 is root.
    pub tenant: Option<i64>,
    /// The worker of its last claim.
    pub worker: Option<String>,
    /// A part of its last error.
    pub error: Option<String>,
    /// Published since, in unix seconds; with `state` `dead`: died since.
    pub since: Option<f64>,
    /// The same until.
    pub until: Option<f64>,
    /// Intents on a page, 1 to 200; 50 if `None`.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub before: Option<String>,
}

/// Which dead letters are given out again.
///
/// ```
/// let all_of_a_goal = intent_bus_client::admin::Redrive {
///     goal: Some("resize".to_owned()),
///     dry_run: false,
///     ..Default::default()
/// };
/// # let _ = all_of_a_goal;
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct Redrive {
    /// Of this namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// With this goal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Of this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<i64>,
    /// Whose error has this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// That died since, in unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<f64>,
    /// That died before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
    /// So many at most, 1 to 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// How many become due in a second, 1 to 1,000; 100 if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// Only tells what would be done. So it is unless set otherwise.
    pub dry_run: bool,
}

impl Default for Redrive {
    fn default() -> Self {
        Self {
            namespace: None,
            goal: None,
            tenant: None,
            error: None,
            since: None,
            until: None,
            limit: None,
            per_second: None,
            dry_run: true,
        }
    }
}

/// One page of a list: how much, and from where on.
///
/// ```
/// let first = intent_bus_client::admin::Page::default();
/// let next = intent_bus_client::admin::Page { limit: Some(200), before: Some("42".to_owned()) };
/// # let _ = (first, next);
/// ```
#[derive(Debug, Clone, Default, Serialize)]
pub struct Page {
    /// 1 to 200; 50 if `None`.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub before: Option<String>,
}

impl Admin {
    pub(crate) fn new(client: IntentClient, token: &str) -> Result<Self> {
        let mut token = HeaderValue::from_str(token)
            .map_err(|_| Error::config("The admin token has characters that no header can carry."))?;
        token.set_sensitive(true);
        Ok(Self { client, token })
    }

    /// The state of the whole bus, at most a second old.
    ///
    /// # Errors
    /// As all calls here: [`Error::Auth`] for a wrong token.
    pub async fn overview(&self) -> Result<Overview> {
        self.read("/admin/overview".to_owned()).await
    }

    /// Intents that match, the newest first.
    pub async fn search(&self, search: &Search) -> Result<FoundIntents> {
        self.read(with_query("/admin/intents", search)?).await
    }

    /// One intent with all that is known of it, and why nobody claims it.
    pub async fn intent(&self, id: &str) -> Result<IntentDetail> {
        self.read(format!("/admin/intents/{}", encoded(id))).await
    }

    /// Makes an intent of any state dead.
    pub async fn cancel(&self, id: &str) -> Result<()> {
        self.change::<serde::de::IgnoredAny>(format!("/admin/intents/{}/cancel", encoded(id)), &()).await.map(drop)
    }

    /// Gives a dead intent out again, with all its attempts.
    pub async fn retry(&self, id: &str) -> Result<()> {
        self.change::<serde::de::IgnoredAny>(format!("/admin/intents/{}/retry", encoded(id)), &()).await.map(drop)
    }

    /// The 100 intents that died last. [`Self::search`] with `state` `dead` goes further back.
    pub async fn dead(&self) -> Result<Vec<DeadLetter>> {
        self.read("/admin/dead".to_owned()).await
    }

    /// One dead letter, with its payload.
    pub async fn dead_letter(&self, id: &str) -> Result<DeadLetterDetail> {
        self.read(format!("/admin/dead/{}", encoded(id))).await
    }

    /// Gives many dead letters out again.
    pub async fn redrive(&self, redrive: &Redrive) -> Result<Redriven> {
        self.change("/admin/dead/redrive".to_owned(), redrive).await
    }

    /// Stops handing out a goal of a namespace, or all of it.
    pub async fn pause(&self, namespace: &str, goal: Option<&str>) -> Result<PauseChanged> {
        self.change("/admin/pause".to_owned(), &Which { namespace, goal }).await
    }

    /// Hands it out again.
    pub async fn resume(&self, namespace: &str, goal: Option<&str>) -> Result<PauseChanged> {
        self.change("/admin/resume".to_owned(), &Which { namespace, goal }).await
    }

    /// What is paused.
    pub async fn pauses(&self) -> Result<Pauses> {
        self.read("/admin/pauses".to_owned()).await
    }

    /// Who has asked for work, those seen last first.
    pub async fn workers(&self, page: &Page) -> Result<Workers> {
        self.read(with_query("/admin/workers", page)?).await
    }

    /// Deletes all intents of a namespace, or all there are, for ever. A dry run only counts.
    pub async fn purge(&self, namespace: Option<&str>, dry_run: bool) -> Result<Purged> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            namespace: Option<&'a str>,
            confirm: bool,
            dry_run: bool,
        }
        self.change("/admin/purge".to_owned(), &Body { namespace, confirm: !dry_run, dry_run }).await
    }

    /// Makes a key. It is shown this once.
    pub async fn create_key(&self, key: &NewKey) -> Result<GeneratedKey> {
        self.change("/admin/generate_key".to_owned(), key).await
    }

    /// All about keys but the keys, the newest first.
    pub async fn keys(&self, page: &Page) -> Result<Keys> {
        self.read(with_query("/admin/keys", page)?).await
    }

    /// Makes a new key that reaches what this one does; this one ends after `overlap`, 30 days at most.
    pub async fn rotate_key(&self, number: i64, overlap: Duration) -> Result<GeneratedKey> {
        #[derive(Serialize)]
        struct Body {
            overlap_seconds: u64,
        }
        self.change(format!("/admin/keys/{number}/rotate"), &Body { overlap_seconds: overlap.as_secs() }).await
    }

    /// Changes what a key may be used for, and where. `None`: everything, everywhere.
    pub async fn scope_key(
        &self,
        number: i64,
        scopes: Option<&[String]>,
        namespaces: Option<&[String]>,
    ) -> Result<KeyDetail> {
        #[derive(Serialize)]
        struct Body<'a> {
            scopes: Option<&'a [String]>,
            namespaces: Option<&'a [String]>,
        }
        self.change(format!("/admin/keys/{number}/scopes"), &Body { scopes, namespaces }).await
    }

    /// Ends a key, by its number.
    pub async fn revoke_key(&self, number: i64) -> Result<()> {
        self.change::<serde::de::IgnoredAny>(format!("/admin/keys/{number}/revoke"), &()).await.map(drop)
    }

    /// Changes a tenant's limits. `None`: the settings of the bus.
    pub async fn set_limits(
        &self,
        tenant: i64,
        rate_limit_per_minute: Option<u32>,
        max_open_intents: Option<u32>,
    ) -> Result<TenantLimits> {
        #[derive(Serialize)]
        struct Body {
            rate_limit_per_minute: Option<u32>,
            max_open_intents: Option<u32>,
        }
        self.change(format!("/admin/tenants/{tenant}/limits"), &Body { rate_limit_per_minute, max_open_intents }).await
    }

    /// What operators did, the newest first.
    pub async fn audit(&self, page: &Page) -> Result<AuditLog> {
        self.read(with_query("/admin/audit", page)?).await
    }

    /// One pass of maintenance, now.
    pub async fn clean_up(&self) -> Result<CleanedUp> {
        self.change("/admin/cleanup".to_owned(), &()).await
    }

    async fn read<T: DeserializeOwned>(&self, target: String) -> Result<T> {
        self.ask(Call::get(target)?, Repeat::Safely).await
    }

    /// `()` stands for no body.
    async fn change<T: DeserializeOwned>(&self, target: String, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body)?;
        let body = if body == b"null" { Bytes::new() } else { body.into() };
        self.ask(Call::new(Method::POST, target, body)?, Repeat::IfUndone).await
    }

    async fn ask<T: DeserializeOwned>(&self, mut call: Call, repeat: Repeat) -> Result<T> {
        call.admin = Some(self.token.clone());
        self.client.call(&call, repeat).await?.json(call.target.as_str())
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("client", &self.client).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Which<'a> {
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<&'a str>,
}

/// The path with those fields that are there.
fn with_query(path: &str, fields: &impl Serialize) -> Result<String> {
    let mut target = path.to_owned();
    if let serde_json::Value::Object(fields) = serde_json::to_value(fields)? {
        for (name, value) in fields {
            let text = match value {
                serde_json::Value::Null => continue,
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            target.push(if target.contains('?') { '&' } else { '?' });
            let _ = write!(target, "{name}={}", encoded(&text));
        }
    }
    Ok(target)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_what_was_asked_for_and_nothing_else() {
        let search = Search { goal: Some("a b".to_owned()), tenant: Some(0), since: Some(1.5), ..Search::default() };
        assert_eq!(with_query("/admin/intents", &search).unwrap(), "/admin/intents?goal=a%20b&since=1.5&tenant=0");
        assert_eq!(with_query("/admin/keys", &Page::default()).unwrap(), "/admin/keys");
    }

    #[test]
    fn the_token_is_not_shown() {
        let admin = IntentClient::builder().base_url("http://127.0.0.1:1").build_admin("s3cr3t").unwrap();
        assert!(!format!("{admin:?}").contains("s3cr3t"));
    }
}
