//! Shows the progress of a run: one line on standard error, with a bar in phases with a known end.

use gripwire_loadgen::{Moment, Phase, RunPlan};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub struct Live {
    bar: ProgressBar,
    subscribers: u64,
    phase: Option<Phase>,
    last: (f64, u64, u64),
}

impl Live {
    pub fn new(plan: &RunPlan, quiet: bool) -> Live {
        let bar = ProgressBar::with_draw_target(
            None,
            match quiet {
                true => ProgressDrawTarget::hidden(),
                false => ProgressDrawTarget::stderr(),
            },
        );
        Live { bar, subscribers: u64::from(plan.fleet.subscribers), phase: None, last: (0.0, 0, 0) }
    }

    pub fn show(&mut self, phase: Phase, moment: &Moment) {
        if self.phase != Some(phase) {
            self.begin(phase);
        }
        let (seconds, messages, bytes) = self.last;
        let elapsed = (moment.seconds - seconds).max(0.001);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / elapsed;
        let open = format!("{} open", moment.fleet.open);
        let trouble = match (moment.fleet.failed, moment.fleet.closed) {
            (0, 0) => String::new(),
            (failed, closed) => format!(", {failed} failed, {closed} ended"),
        };
        let message = match phase {
            Phase::Opening => format!("{open}{trouble}"),
            Phase::Holding => format!("{open}{trouble}, {:.0} s", moment.seconds),
            Phase::Publishing | Phase::Waiting => format!(
                "{} published, {:.0} deliveries/s, {:.1} MB/s, p50 {:.2} ms, p99 {:.2} ms{trouble}",
                moment.published,
                rate(moment.fleet.messages, messages),
                rate(moment.fleet.bytes, bytes) / 1e6,
                moment.p50_ns as f64 / 1e6,
                moment.p99_ns as f64 / 1e6,
            ),
        };
        self.last = (moment.seconds, moment.fleet.messages, moment.fleet.bytes);
        if phase == Phase::Opening {
            self.bar.set_position(u64::from(moment.fleet.open));
        }
        self.bar.set_message(message);
        self.bar.tick();
    }

    fn begin(&mut self, phase: Phase) {
        self.phase = Some(phase);
        let (prefix, template) = match phase {
            Phase::Opening => ("opening", "{prefix:>10} {bar:30} {msg}"),
            Phase::Holding => ("holding", "{prefix:>10} {spinner} {msg}"),
            Phase::Publishing => ("publishing", "{prefix:>10} {spinner} {msg}"),
            Phase::Waiting => ("waiting", "{prefix:>10} {spinner} {msg}"),
        };
        self.bar.set_prefix(prefix);
        self.bar.set_length(self.subscribers);
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
