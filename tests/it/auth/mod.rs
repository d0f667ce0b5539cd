//! Who is asking, and may they.

mod admin;
mod client;
mod scopes;
mod signature;
mod timing;
