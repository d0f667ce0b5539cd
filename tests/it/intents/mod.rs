//! Intents, as clients publish, claim, finish and look at them.

mod publish;
