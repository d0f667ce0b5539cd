//! stub
pub mod guard;
pub mod program;
