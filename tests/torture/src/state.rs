//! What is left in Postgres at the end of a run, and what the database itself saw happen to each intent on the way.
//!
//! The second comes from a trigger of ours on the table of unfinished intents, so it is in the transaction of whatever it notes,
//! by the database's clock, and owes nothing to what the bus says of itself.

use anyhow::Result;
use tokio_postgres::Client;

/// The table and the trigger. To be run once the schema is there.
pub const INSTALL: &str = "
CREATE TABLE torture_history (
    number bigserial PRIMARY KEY, id uuid NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    was text, becomes text, held_by uuid, holder uuid, lease_until timestamptz, lease_until_then timestamptz, request uuid,
    attempts integer, attempts_then integer, max_attempts integer
);
CREATE FUNCTION torture_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO torture_history (id, was, held_by, lease_until, attempts, max_attempts)
        VALUES (OLD.id, OLD.state, OLD.claim_hash, OLD.lease_until, OLD.claim_attempts, OLD.max_attempts);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO torture_history (id, becomes, attempts_then, max_attempts)
        VALUES (NEW.id, NEW.state, NEW.claim_attempts, NEW.max_attempts);
    ELSE
        INSERT INTO torture_history
            (id, was, becomes, held_by, holder, lease_until, lease_until_then, request, attempts, attempts_then, max_attempts)
        VALUES (OLD.id, OLD.state, NEW.state, OLD.claim_hash, NEW.claim_hash, OLD.lease_until, NEW.lease_until,
                -- An earlier release has no such column.
                (to_jsonb(NEW) ->> 'claim_request')::uuid,
                OLD.claim_attempts, NEW.claim_attempts, OLD.max_attempts);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER torture_note AFTER INSERT OR UPDATE OR DELETE ON intents FOR EACH ROW EXECUTE FUNCTION torture_note();
";

/// Where an intent is at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits.
    Open,
    /// Held by a lease, which may have ended.
    Claimed,
    /// Done.
    Fulfilled,
    /// Given up.
    Dead,
}

/// An intent at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// 32 hex digits.
    pub id: String,
    /// The key in its payload.
    pub key: String,
    /// Where it is.
    pub state: State,
    /// From when somebody has to do something about it, in unix seconds: a worker, or maintenance once its last lease has ended.
    /// Infinity: it has ended.
    pub due_at: f64,
    /// What its worker has said.
    pub result: Option<String>,
}

/// A change of the row of an intent. `None` for what it was: it was published; for what it becomes: it has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The intent.
    pub id: String,
    /// By the database's clock, in unix seconds.
    pub at: f64,
    /// Its state before.
    pub was: Option<State>,
    /// Its state after.
    pub becomes: Option<State>,
    /// The hash of the claim token before, and after.
    pub holders: (Option<String>, Option<String>),
    /// When the lease ended that there was before.
    pub lease_until: Option<f64>,
    /// When the lease ends that there is after.
    pub lease_until_then: Option<f64>,
    /// What its claim is found again by, after.
    pub request: Option<String>,
    /// Claims that count, before and after.
    pub attempts: (i64, i64),
    /// Claims allowed.
    pub max_attempts: i64,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct End {
    /// The database's clock, in unix seconds.
    pub now: f64,
    /// Every intent.
    pub intents: Vec<Intent>,
    /// In the order in which they happened to each. Empty: nobody has noted it.
    pub changes: Vec<Change>,
}

fn state(name: &str) -> State {
    match name {
        "open" => State::Open,
        "claimed" => State::Claimed,
        "fulfilled" => State::Fulfilled,
        _ => State::Dead,
    }
}

/// Reads all of it.
pub async fn read(client: &Client) -> Result<End> {
    let now = client.query_one("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).await?.try_get(0)?;
    let intents = client
        .query(
            "SELECT replace(every.id::text, '-', ''), state, due_at, result,
                    (SELECT convert_from(payload, 'UTF8')::json ->> 'key' FROM payloads
                     WHERE payloads.id = every.id LIMIT 1)
             FROM (
                 SELECT id, state::text, extract(epoch FROM CASE WHEN visible_at = 'infinity' THEN lease_until
                        ELSE visible_at END)::float8 AS due_at, NULL::text AS result
                 FROM intents
                 UNION ALL
                 SELECT id, state::text, 'infinity', convert_from(result, 'UTF8')
                 FROM finished
             ) AS every",
            &[],
        )
        .await?;
    let intents = intents.iter().map(|row| -> Result<Intent> {
        Ok(Intent {
            id: row.try_get(0)?,
            state: state(row.try_get(1)?),
            // Neither due nor leased: due since ever.
            due_at: row.try_get::<_, Option<f64>>(2)?.unwrap_or_default(),
            result: row.try_get(3)?,
            key: row.try_get::<_, Option<String>>(4)?.unwrap_or_default(),
        })
    });
    let is_noted = client.query_one("SELECT to_regclass('torture_history') IS NOT NULL", &[]).await?.try_get(0)?;
    let changes = if is_noted { changes(client).await? } else { Vec::new() };
    Ok(End { now, intents: intents.collect::<Result<_>>()?, changes })
}

async fn changes(client: &Client) -> Result<Vec<Change>> {
    let rows = client
        .query(
            "SELECT replace(id::text, '-', ''), extract(epoch FROM at)::float8, was, becomes,
                    replace(held_by::text, '-', ''), replace(holder::text, '-', ''),
                    extract(epoch FROM lease_until)::float8, coalesce(attempts, 0)::int8,
                    coalesce(attempts_then, 0)::int8, coalesce(max_attempts, 0)::int8,
                    extract(epoch FROM lease_until_then)::float8, replace(request::text, '-', '')
             FROM torture_history ORDER BY number",
            &[],
        )
        .await?;
    let changes = rows.iter().map(|row| -> Result<Change> {
        let named = |column| row.try_get::<_, Option<&str>>(column).map(|name| name.map(state));
        Ok(Change {
            id: row.try_get(0)?,
            at: row.try_get(1)?,
            was: named(2)?,
            becomes: named(3)?,
            holders: (row.try_get(4)?, row.try_get(5)?),
            lease_until: row.try_get(6)?,
            attempts: (row.try_get(7)?, row.try_get(8)?),
            max_attempts: row.try_get(9)?,
            lease_until_then: row.try_get(10)?,
            request: row.try_get(11)?,
        })
    });
    changes.collect()
}
