//! Intents, as clients publish, claim, finish and look at them.

mod batches;
mod claim;
mod eligibility;
mod extend;
mod fail;
mod fulfill;
mod lease;
mod order;
mod publish;
mod result;
mod status;
mod together;
mod waiting;
