//! What a person sees while it runs: a bar on a terminal, and the parts of a series. Nothing of it on standard output.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Plan, load::rate, stats::micros};

/// The bar, if there is a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    by_cycles: bool,
    /// Parts of a series are told as they come, if they are not the only thing that is to be said.
    tells: bool,
}

impl Progress {
    /// How often it moves.
    pub(super) const EVERY: Duration = Duration::from_millis(200);

    pub(super) fn new(plan: &Plan) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(plan.intents.unwrap_or(micros(plan.seconds)))
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        Self { bar, by_cycles: plan.intents.is_some(), tells: !plan.json }
    }

    pub(super) fn show(&self, after: Duration, cycles: u64) {
        self.bar.set_position(if self.by_cycles { cycles } else { micros(after) });
        self.bar.set_message(format!("{cycles} cycles, {:.0} per second", rate(cycles, after)));
    }

    #[allow(clippy::print_stderr, reason = "a long run tells how it goes")]
    pub(super) fn part(&self, after: Duration, rate: f64) {
        if self.tells {
            self.bar.suspend(|| eprintln!("{:>8.1} s  {rate:>10.1} cycles per second", after.as_secs_f64()));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
