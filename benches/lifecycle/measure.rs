//! Fair timing on a busy machine: all cases run in alternating turns, and ratios are computed for each turn.

use std::hint::black_box;
use std::time::{Duration, Instant};

struct Case<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u64) + 'a>,
    iterations: u64,
    nanos: Vec<f64>,
}

/// A set of cases that are measured against each other.
#[derive(Default)]
pub struct Race<'a>(Vec<Case<'a>>);

impl<'a> Race<'a> {
    /// Adds a case. One call of `case` is one iteration.
    pub fn add<R>(&mut self, name: &'static str, mut case: impl FnMut() -> R + 'a) {
        let run = Box::new(move |iterations| (0..iterations).for_each(|_| drop(black_box(case()))));
        self.0.push(Case { name, run, iterations: 1, nanos: Vec::new() });
    }

    /// Runs `rounds` turns of each case. One turn takes about `turn`.
    pub fn run(mut self, rounds: usize, turn: Duration) -> Times {
        for case in &mut self.0 {
            // Find the number of iterations for one turn, which also warms up. The minimum of five runs excludes interruptions.
            loop {
                let spent = (0..5).map(|_| time(case)).min().unwrap_or_default();
                if spent >= turn / 2 {
                    let fitting = case.iterations as f64 * turn.as_secs_f64() / spent.as_secs_f64();
                    case.iterations = (fitting as u64).max(1);
                    break;
                }
                case.iterations *= 2;
            }
        }
        for _ in 0..rounds {
            for case in &mut self.0 {
                let spent = time(case);
                case.nanos.push(spent.as_nanos() as f64 / case.iterations as f64);
            }
        }
        Times(self.0.into_iter().map(|case| (case.name, case.nanos)).collect())
    }
}

fn time(case: &mut Case<'_>) -> Duration {
    let begun = Instant::now();
    (case.run)(case.iterations);
    begun.elapsed()
}

/// The nanoseconds per iteration of each case and turn.
pub struct Times(Vec<(&'static str, Vec<f64>)>);

impl Times {
    /// Returns the median of a case in nanoseconds.
    pub fn nanos(&self, name: &str) -> f64 {
        median(self.of(name).to_vec())
    }

    /// Returns the median as text for the table.
    pub fn shown(&self, name: &str) -> String {
        format!("{:.0} ns", self.nanos(name))
    }

    /// Returns the median over the turns of the time of the case divided by the time of `base`.
    pub fn ratio(&self, name: &str, base: &str) -> f64 {
        median(self.of(name).iter().zip(self.of(base)).map(|(case, base)| case / base).collect())
    }

    fn of(&self, name: &str) -> &[f64] {
        &self.0.iter().find(|(other, _)| *other == name).expect("the name of a measured case").1
    }
}

/// Returns the median of the values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
