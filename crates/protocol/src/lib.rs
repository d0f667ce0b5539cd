//! The Intent Protocol, spoken by the bus and by its clients.
//!
//! Everything here is a pure function or a plain type: no I/O, no async, no clock, no randomness. What a request *means*
//! to the bus (states, retries, quotas) belongs to the server; how it is *written* belongs here, so that both sides
//! cannot disagree.
//!
//! A signed request passes through the modules in this order:
//! 1. [`headers`] names what the client sends besides the body;
//! 2. [`canonical`] turns the request target into the text that is signed, and into the pairs the bus acts on;
//! 3. [`signature`] makes and checks the signature over it;
//! 4. [`generation`] tells which of the two protocol generations the client speaks;
//! 5. [`names`], [`limits`] and [`json`] check the fields and the payload without changing a byte of it;
//! 6. [`wire`] is what the bus answers, with [`errors`] for the codes of a refusal.

pub mod canonical;
pub mod errors;
pub mod generation;
pub mod headers;
pub mod json;
pub mod limits;
pub mod names;
pub mod signature;
pub mod wire;
