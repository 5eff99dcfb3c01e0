//! What came of the checks.

use std::fmt;
use std::time::Duration;

/// What came of one check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The name of the check.
    pub name: &'static str,
    /// The sentence of the contract that it enforces.
    pub contract: &'static str,
    /// What went wrong, if anything did.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What came of all checks; its `Display` is a table.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use = "the store may have failed: see `assert_ok`"]
pub struct Report {
    /// The checks in the order in which they ran.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Whether every check passed, and there was one.
    pub fn is_ok(&self) -> bool {
        !self.outcomes.is_empty() && self.failures().next().is_none()
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.failure.is_some())
    }

    /// For tests: nothing if every check passed.
    ///
    /// # Panics
    ///
    /// With the table if a check failed.
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
