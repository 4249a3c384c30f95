//! Release directories and the link that names the one in use.

use super::shell::word;
use lockkeeper_core::plan::action::{StageRelease, SwitchRelease};

pub fn stage(stage: &StageRelease) -> Vec<String> {
    if stage.source.is_empty() {
        return vec![format!("ls {}   # staged by the operator: it must be there", word(&stage.directory))];
    }
    vec![format!(
        "test -e {directory} || cp -a {} {directory}",
        word(&stage.source),
        directory = word(&stage.directory)
    )]
}

/// The link is replaced by rename, so that it never is missing.
pub fn switch(switch: &SwitchRelease, captured: Option<&str>) -> Vec<String> {
    let target = captured.unwrap_or(&switch.directory);
    if target.is_empty() {
        return vec![format!("rm {}   # there was no link before", word(&switch.link))];
    }
    let beside = format!("{}.by-hand", switch.link);
    vec![format!(
        "ln -sfn {} {beside} && mv -T {beside} {}",
        word(target),
        word(&switch.link),
        beside = word(&beside)
    )]
}
