//! The statements themselves, on the migrated schema.

mod migrations;
mod prepare;
mod retry_policy;
