//! Real servers, started, used, killed and looked for afterwards. Linux only: the checks read `/proc`.
#![cfg(target_os = "linux")]

mod fetched;
mod kept;
mod killed;
mod starts;
mod support;
