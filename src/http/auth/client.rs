//! Requests of clients: publishers and workers, by their API key.

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use intent_bus_protocol::{
    generation::{Declared, Generation},
    headers, json,
};
use subtle::ConstantTimeEq;

use super::{Who, header, signature};
use crate::{
    app::State,
    domain::{
        hash::{hash128, key_hash},
        scopes::Reaches,
    },
    error::{Error, ErrorCode, Result},
    http::{
        body,
        routes::{self, Access},
    },
    store::{admission::Admission, idempotency::Idempotency},
};

/// The tenant of root.
const ROOT: i64 = 0;
/// Longest idempotency key, in bytes.
pub(in crate::http) const IDEMPOTENCY_KEY_MAX: usize = 255;

/// Whose key a request carries.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The number of the key. None: the root key.
    pub key: Option<i64>,
    /// The tenant.
    pub tenant: i64,
    /// SHA-256 of the key.
    pub key_hash: [u8; 32],
    /// Unfinished intents allowed. None: any number.
    pub max_open: Option<i64>,
    /// Requests in a minute allowed. None: any number.
    pub rate_limit: Option<i32>,
    /// What the key may be used for, and where.
    pub reaches: Reaches,
}

impl Caller {
    /// Whether this is the root key.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.tenant == ROOT
    }
}

/// An authenticated request of a client.
pub struct ClientRequest {
    /// Who asks.
    pub caller: Caller,
    /// What the store checks before it does anything.
    pub admission: Admission,
    /// The generation of the protocol that the request speaks.
    pub declared: Declared,
    /// The body.
    pub body: Bytes,
}

impl ClientRequest {
    /// The rules that this request is treated by.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.declared.generation()
    }

    /// The idempotency key of this request, if it has one. Each path has keys of its own.
    ///
    /// # Errors
    /// `invalid_request` when the key is empty or too long, or the body nested too deeply to be compared.
    pub fn idempotency(&self, request: &HttpRequest) -> Result<Option<Idempotency>> {
        self.idempotency_of(request, None, &self.body)
    }

    /// The header, if it is good.
    ///
    /// # Errors
    /// `invalid_request` when it is empty or too long.
    #[allow(clippy::unused_self, reason = "what a client sends is asked of its request")]
    pub fn idempotency_key<'a>(&self, request: &'a HttpRequest) -> Result<Option<&'a [u8]>> {
        let Some(value) = request.headers().get(headers::IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = value.as_bytes();
        if key.is_empty() || key.len() > IDEMPOTENCY_KEY_MAX {
            return Err(Error::invalid(format!("An Idempotency-Key has 1 to {IDEMPOTENCY_KEY_MAX} bytes.")));
        }
        Ok(Some(key))
    }

    /// The idempotency key of one of the many things that this request brings: its number belongs to the key.
    ///
    /// # Errors
    /// As [`Self::idempotency`].
    pub fn idempotency_of(
        &self,
        request: &HttpRequest,
        number: Option<usize>,
        body: &[u8],
    ) -> Result<Option<Idempotency>> {
        let Some(key) = self.idempotency_key(request)? else { return Ok(None) };
        let body = std::str::from_utf8(body).map_err(|_| Error::invalid("The body is not UTF-8."))?;
        let body = json::canonical(body).map_err(|_| Error::invalid("The body is nested too deeply."))?;
        let number = number.map(usize::to_be_bytes);
        let (tenant, path) = (self.caller.tenant.to_be_bytes(), request.path().as_bytes());
        let mut parts: Vec<&[u8]> = vec![b"idempotency key", &tenant, path, key];
        parts.extend(number.as_ref().map(|number| &number[..]));
        Ok(Some(Idempotency {
            key: hash128(&parts),
            request: hash128(&[b"request", body.as_bytes()]),
            clash: self.generation().idempotency_clash(),
        }))
    }
}

/// Finds the key that a request presents. None: there is no such key, or it is revoked or has expired.
pub(super) async fn find_caller(state: &State, key: &str) -> Result<Option<Caller>> {
    let hash = key_hash(key);
    if bool::from(hash.ct_eq(state.root_hash())) {
        let reaches = Reaches::default();
        return Ok(Some(Caller { key: None, tenant: ROOT, key_hash: hash, max_open: None, rate_limit: None, reaches }));
    }
    let found = state.keys.find(&hash).await?;
    Ok(found.map(|found| Caller {
        key: Some(found.id),
        tenant: found.tenant,
        key_hash: hash,
        max_open: Some(found.max_open.map_or(state.limits.max_open_intents, i64::from)),
        rate_limit: Some(found.rate_limit.unwrap_or(state.limits.rate_per_minute)),
        reaches: found.reaches,
    }))
}

/// The generation that a request declares, or else the one that is set.
pub(super) fn declared(request: &HttpRequest, state: &State) -> Declared {
    Declared::parse(header(request, headers::INTENT_VERSION), state.auth.protocol)
}

async fn authenticate(request: &HttpRequest, payload: &mut Payload) -> Result<ClientRequest> {
    let state = request.app_data::<Data<State>>().ok_or_else(|| Error::fault("the state is not there"))?;
    if state.limits.maintenance_mode {
        return Err(Error::new(ErrorCode::Maintenance, "The bus is paused for maintenance.").retry_after(30));
    }
    let key = header(request, headers::API_KEY)
        .filter(|key| !key.is_empty())
        .ok_or_else(|| Error::new(ErrorCode::Unauthorized, "Send your API key in the header X-API-KEY."))?;
    let caller = find_caller(state, key).await?;
    if let Some(caller) = &caller {
        Who::from(caller).note(request);
    }
    let body = match caller {
        Some(_) => {
            let most = state.limits.max_body(routes::takes_many(request.path()));
            body::read(request.headers(), payload, most, state.limits.request_timeout).await?
        }
        None => Bytes::new(),
    };
    // The signature is computed for unknown keys too, so that the time does not tell them from known ones.
    let signed = signature::is_signed(request)
        .then(|| signature::check(state, request, &body, key, caller.as_ref().map_or(0, |caller| caller.tenant)));
    let caller =
        caller.ok_or_else(|| Error::new(ErrorCode::Unauthorized, "This API key is unknown, revoked or expired."))?;
    if signed.is_none() && state.auth.require_signatures {
        return Err(Error::bad_signature(
            "This bus takes signed requests only: send X-Timestamp, X-Nonce and X-Signature.",
        ));
    }
    let signed = signed.transpose()?;
    // Routes say what they are for, and one that does not lets nobody in.
    let Some(Access::Client(scope)) = request.app_data::<Access>() else {
        return Err(Error::fault("this route does not say what it is for"));
    };
    caller.reaches.allow(*scope)?;
    Ok(ClientRequest {
        admission: Admission { tenant: caller.tenant, rate_limit: caller.rate_limit, signed },
        caller,
        declared: declared(request, state),
        body,
    })
}

impl FromRequest for ClientRequest {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move { authenticate(&request, &mut payload).await })
    }
}
