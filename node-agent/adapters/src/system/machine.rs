//! How this machine is, for `doctor`: its clock, its room, and what its identity proves. Looks only.

use crate::{backup::space, clock};
use lockkeeper_agent::{
    identity::{Identity, Strength, WEAK},
    journal::FsDisk,
};
use lockkeeper_core::observe::{MachineFacts, Room};
use std::path::{Path, PathBuf};

/// Looks at the agent's data directory and those where backup sets go.
pub async fn look(data: PathBuf, backups: Vec<String>) -> MachineFacts {
    let looked = tokio::task::spawn_blocking(move || {
        let mut rooms = vec![room(&data)];
        for directory in backups.iter().filter(|directory| !directory.is_empty()) {
            rooms.push(room(Path::new(directory)));
        }
        (weak(&data.join("identity")), rooms)
    });
    let (weak, rooms) = match looked.await {
        Ok(looked) => looked,
        Err(error) => (None, vec![Err(format!("the look ended early: {error}"))]),
    };
    // Last, so that the asker compares with the end of the call.
    MachineFacts { wall_ms: clock::wall_ms(), weak, rooms }
}

/// An identity that cannot be read is told by the agent's own start, which ends in quarantine.
fn weak(file: &Path) -> Option<String> {
    let identity = FsDisk::new(file).ok().and_then(|mut disk| Identity::load(&mut disk).ok())?;
    (identity.fingerprint.strength() == Strength::Weak).then(|| WEAK.to_owned())
}

fn room(directory: &Path) -> Result<Room, String> {
    let (free, size) = space::room(directory).map_err(|refusal| refusal.text)?;
    Ok(Room { directory: directory.display().to_string(), free, size })
}
