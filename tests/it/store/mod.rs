//! The statements themselves, on the migrated schema.

mod marks;
mod migrations;
mod periods;
mod prepare;
mod pulse;
mod retry_policy;
