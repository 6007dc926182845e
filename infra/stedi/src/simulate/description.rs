//! A case as people read it: what lands when, and what may go wrong.

use simulation::Case;
use simulation::scenario::Content;

/// The case, line by line.
pub(crate) fn of(case: &Case) -> String {
    let Case { scenario, faults, schedule } = case;
    let mut text = format!(
        "consent policy {}, customer shards {}, schedule {schedule}\nfaults: {faults}",
        scenario.policy, scenario.customer_shards
    );
    for (i, phase) in scenario.phases.iter().enumerate() {
        text += &format!("\nphase {}", i + 1);
        if i > 0 {
            text += ", when nothing is left to deliver";
        }
        let mut landings: Vec<_> = phase.iter().collect();
        landings.sort_by_key(|landing| landing.at_ms);
        for landing in landings {
            let (s, ms) = (landing.at_ms / 1000, landing.at_ms % 1000);
            text += &format!("\n  after {s}.{ms:03} s lands {}", landing.key);
            match &landing.content {
                Content::Damaged => text += ", damaged gzip",
                Content::Lines(lines) if lines.is_empty() => text += ", empty",
                Content::Lines(lines) => lines.iter().for_each(|line| text += &format!("\n    {}", line.text())),
            }
        }
    }
    text
}
