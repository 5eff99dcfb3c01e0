//! The result table.

use std::fmt;

/// The target of a ratio or a figure.
#[derive(Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// No target. The row is shown for comparison.
    None,
}

struct Row {
    case: String,
    figure: String,
    ratio: Option<f64>,
    target: Target,
}

/// The rows of the result table. Its `Display` is a Markdown table.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds a figure without a target.
    pub fn figure(&mut self, case: impl Into<String>, figure: impl Into<String>) {
        self.0.push(Row { case: case.into(), figure: figure.into(), ratio: None, target: Target::None });
    }

    /// Adds a figure with the ratio (or the number) that the target applies to.
    pub fn ratio(&mut self, case: impl Into<String>, figure: impl Into<String>, ratio: f64, target: Target) {
        self.0.push(Row { case: case.into(), figure: figure.into(), ratio: Some(ratio), target });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| case | figure | ratio | target | |\n|---|---|---|---|---|")?;
        for Row { case, figure, ratio, target } in &self.0 {
            let shown = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
            let (wanted, met) = match target {
                Target::AtMost(most) => (format!("≤ {most}"), ratio.map(|ratio| ratio <= *most)),
                Target::AtLeast(least) => (format!("≥ {least}"), ratio.map(|ratio| ratio >= *least)),
                Target::None => (String::new(), None),
            };
            let verdict = met.map_or("", |met| if met { "met" } else { "**missed**" });
            writeln!(f, "| {case} | {figure} | {shown} | {wanted} | {verdict} |")?;
        }
        Ok(())
    }
}
