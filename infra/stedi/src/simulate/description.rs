//! A case as text: its uploads and the faults that may occur.

use simulation::Case;
use simulation::scenario::Content;

/// Describes a case, line by line.
pub(crate) fn describe(case: &Case) -> String {
    let Case { scenario, faults, schedule } = case;
    let mut text = format!(
        "consent policy {}, pairs {}, customer shards {}, schedule {schedule}\nfaults: {faults}",
        scenario.policy, scenario.pairs, scenario.customer_shards
    );
    for (i, phase) in scenario.phases.iter().enumerate() {
        text += &format!("\nphase {}", i + 1);
        if i > 0 {
            text += ", when no event is pending";
        }
        let mut uploads: Vec<_> = phase.iter().collect();
        uploads.sort_by_key(|upload| upload.at_ms);
        for upload in uploads {
            let (s, ms) = (upload.at_ms / 1000, upload.at_ms % 1000);
            text += &format!("\n  after {s}.{ms:03} s upload of {}", upload.key);
            match &upload.content {
                Content::Damaged => text += ", damaged gzip",
                Content::Lines(lines) if lines.is_empty() => text += ", empty",
                Content::Lines(lines) => lines.iter().for_each(|line| text += &format!("\n    {}", line.text())),
            }
        }
    }
    text
}
