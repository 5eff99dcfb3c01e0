//! The results of the checks.

use std::fmt;
use std::time::Duration;

/// The result of one check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The name of the check.
    pub name: &'static str,
    /// The sentence of the contract that the check enforces.
    pub contract: &'static str,
    /// What went wrong, if the check failed.
    pub failure: Option<String>,
    /// How long the check took.
    pub took: Duration,
}

/// The results of all checks. Its `Display` is a table.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use = "the store may have failed: see `assert_ok`"]
pub struct Report {
    /// The results in the order in which the checks ran.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Whether at least one check ran and all of them passed.
    pub fn is_ok(&self) -> bool {
        !self.outcomes.is_empty() && self.failures().next().is_none()
    }

    /// Returns the checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.failure.is_some())
    }

    /// Panics unless every check passed; for use in tests.
    ///
    /// # Panics
    ///
    /// If a check failed, or none ran. The message contains the table.
    #[allow(clippy::panic, reason = "called by tests, which fail by panicking")]
    #[track_caller]
    pub fn assert_ok(&self) {
        if !self.is_ok() {
            panic!("the store does not conform:\n{self}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Outcome { name, contract, failure, took } in &self.outcomes {
            let verdict = if failure.is_some() { "FAILED" } else { "ok" };
            writeln!(f, "{verdict:<8}{name:<24}{:>6} ms", took.as_millis())?;
            if let Some(failure) = failure {
                writeln!(f, "        contract: {contract}\n        instead:  {failure}")?;
            }
        }
        let (failed, all) = (self.failures().count(), self.outcomes.len());
        writeln!(f, "{} of {all} checks passed", all - failed)
    }
}
