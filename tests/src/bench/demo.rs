//! What a whole rollout costs beyond the real actions in it, told by one run of the demo.

use super::Figure;
use crate::{bed::process::run, loopback::binary};
use anyhow::{Context, Result, ensure};
use std::{fs, path::Path, time::Duration};

/// The demo ends within 20 s on an idle machine.
const DEMO_WITHIN: Duration = Duration::from_secs(120);
/// Per step, beside 1.02 times the critical path.
const STEP_MS: f64 = 50.0;

/// Runs the demo once, with its files in `directory`, which must not be there.
pub fn figures(directory: &Path) -> Result<Vec<Figure>> {
    let (binary, keep) = (binary()?.display().to_string(), directory.display().to_string());
    let ran = run(DEMO_WITHIN, &[&binary, "demo", "--json", "--keep", &keep])?;
    ensure!(ran.code == 0, "the demo ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
    let result: serde_json::Value = serde_json::from_str(&ran.stdout)?;
    let number = |key: &str| result[key].as_f64().with_context(|| format!("the demo's result has no {key}"));
    let (wall, path) = (number("wall_ms")?, number("critical_path_ms")?);
    let plan = fs::read_to_string(directory.join("operator/demo.plan")).context("the demo's plan")?;
    let plan: serde_json::Value = serde_json::from_str(&plan)?;
    let steps = plan["steps"].as_array().context("steps")?.len();
    #[expect(clippy::cast_precision_loss, reason = "some tens of steps")]
    let per_step = (wall - 1.02 * path) / steps as f64;
    let note = format!("wall {wall:.0} ms, longest chain of real actions {path:.0} ms, {steps} steps");
    let outage = number("outage_ms")?;
    Ok(vec![
        Figure::of("rollout beyond 1.02 x its real actions, per step", per_step, "ms")
            .within(STEP_MS)
            .note(note),
        Figure::of("outage of the demo's users", outage, "ms")
            .note("application starts and the upgrade included"),
    ])
}
