//! The client: an open loop of reads and writes through the balancer, from a host of its own, all the time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::host::{Daemon, Host};
use super::process::wait_for;
use super::{FRONT, tools};

/// At 50 requests per second a hundred acknowledged writes take five seconds.
const PROGRESS_WITHIN: Duration = Duration::from_secs(60);

/// The running client.
#[derive(Debug)]
pub struct Load {
    client: Daemon,
    log: PathBuf,
}

impl Load {
    /// Starts `load.py` on the client's host; its log goes to `log`.
    pub fn start(host: &Host, rate: u32, log: &Path) -> Result<Self> {
        let (script, rate, url) =
            (tools::scripts().join("load.py"), rate.to_string(), format!("http://{FRONT}"));
        let argv =
            ["python3", tools::path(&script)?, "--url", &url, "--rate", &rate, "--out", tools::path(log)?];
        Ok(Self { client: host.daemon("load", &argv)?, log: log.into() })
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> Result<usize> {
        let log = fs::read_to_string(&self.log)?;
        Ok(log.lines().filter(|line| line.contains("\"hash\"") && line.contains("\"ok\": true")).count())
    }

    /// Waits until so many more writes are acknowledged.
    pub fn wait_acknowledged(&self, more: usize) -> Result<()> {
        let begin = self.acknowledged().unwrap_or_default();
        wait_for(&format!("{more} acknowledged writes"), PROGRESS_WITHIN, || {
            Ok((self.acknowledged()? >= begin + more).then_some(()))
        })
    }

    /// Ends it cleanly: what is in flight is finished and logged.
    pub fn stop(self) -> Result<()> {
        self.client.stop()
    }
}
