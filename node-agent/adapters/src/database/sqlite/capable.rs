//! What a rollout will need of the database's directory, tried by harmless real acts.

use super::Sqlite;
use crate::{
    backup::space,
    database::{Answer, DatabaseCode, blocking},
};
use lockkeeper_agent::host::Failure;
use std::{fs, io::Write as _, path::Path};

impl Sqlite {
    pub(super) async fn try_out(&self) -> Vec<(&'static str, Result<String, Failure>)> {
        let run = async |job: fn(&Sqlite) -> Answer<String>| {
            let this = self.clone();
            blocking(move || job(&this)).await.map_err(Failure::from)
        };
        vec![
            ("make a file beside it", run(Sqlite::make_file).await),
            ("room for two copies", run(Sqlite::room).await),
        ]
    }

    fn make_file(&self) -> Answer<String> {
        let unusable = |path: &Path, error: std::io::Error| {
            DatabaseCode::DoorFiles.refuse(format!("{}: {error}", path.display()))
        };
        let file = self.place.file(&format!("check-{}", uuid::Uuid::now_v7().simple()));
        let made = fs::File::create_new(&file).and_then(|mut made| made.write_all(b"check").and_then(|()| made.sync_all()));
        let removed = match &made {
            Ok(()) => fs::remove_file(&file),
            // Made and not written, perhaps; nothing to remove is as good.
            Err(_) => fs::remove_file(&file).or(Ok(())),
        };
        made.and(removed).map_err(|error| unusable(&file, error))?;
        Ok(format!("made, synced and removed in {}", self.place.directory.display()))
    }

    fn room(&self) -> Answer<String> {
        let live = self.live_path()?;
        let bytes = fs::metadata(&live)
            .map_err(|error| DatabaseCode::DoorFiles.refuse(format!("{}: {error}", live.display())))?
            .len();
        space::enough(&self.place.directory, bytes.saturating_mul(2))?;
        Ok(format!("{} holds twice {} MB", self.place.directory.display(), bytes.div_ceil(1_000_000)))
    }
}
