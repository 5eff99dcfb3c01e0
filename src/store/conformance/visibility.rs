//! What has been acknowledged is there, for everyone.

use super::lab::{Checked, Lab, index, next, record};
use crate::store::{Record, Select};

pub(super) fn read_your_writes(lab: &Lab) -> Checked {
    const ROUNDS: u64 = 200;
    let mut current = Record { indexes: vec![index(0)], ..record(1) };
    lab.apply(&current)?;
    for round in 1..=ROUNDS {
        let seen = lab.elsewhere(|| {
            lab.holds(&current)?;
            let there = Select::Index(index((round - 1) % 2));
            lab.lists(there, 10, std::slice::from_ref(&current))?;
            lab.lists(Select::Index(index(round % 2)), 10, &[])
        });
        seen.map_err(|error| format!("after the acknowledgement of version {}: {error}", current.version))?;
        current = Record { indexes: vec![index(round % 2)], ..next(&current) };
        // The next writer is another thread in every second round.
        if round % 2 == 0 {
            lab.apply(&current)?
        } else {
            lab.elsewhere(|| lab.apply(&current))?
        }
        lab.apply(&record(1 + round))?;
        lab.elsewhere(|| lab.holds(&record(1 + round)))?;
    }
    Ok(())
}
