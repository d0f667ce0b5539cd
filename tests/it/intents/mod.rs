//! Intents, as clients publish, claim, finish and look at them.

mod attempts;
mod batches;
mod claim;
mod eligibility;
mod extend;
mod fail;
mod fulfill;
mod lease;
mod order;
mod pauses;
mod publish;
mod result;
mod retried;
mod status;
mod together;
mod waiting;
