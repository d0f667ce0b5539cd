//! The statements themselves, on the migrated schema.

pub(crate) mod all_or_none;
mod marks;
mod migrations;
mod periods;
mod prepare;
mod pulse;
mod retry_policy;
mod vacuum;
