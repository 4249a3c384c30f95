//! One real agent killed with `kill -9` somewhere in a rollout, at every place there is: whatever was turned must be as it
//! was, the database upgraded once, and nobody asked to help who need not be.
//!
//! Three agents of the shipped binary on loopback with the demo's balancer, a SQLite database behind the shipped door, and
//! services and a migration that are small scripts: they keep books of their own and can kill the agent that runs them.

pub mod place;
pub mod play;
pub mod site;

use self::{
    place::{Place, Victim},
    play::Ended,
    site::KillSite,
};
use anyhow::{Context, Result, anyhow};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
    thread,
};

/// Groups at once: most of a kill is waiting for an election.
const SITES: usize = 4;

/// One place and what came of it; the differences, if there are any.
pub type Told = (Place, Result<Ended>);

/// Every place there is, found by one rollout nobody disturbs.
pub fn places() -> Result<Vec<Place>> {
    let mut site = KillSite::start()?;
    let quiet = runtime()?.block_on(play::play(&mut site, None))?;
    let entries = (1..=quiet.entries).flat_map(|entry| {
        [Victim::Leader, Victim::Worker].map(|victim| Place::Entry { entry, victim })
    });
    let effects = (1..=quiet.effects)
        .flat_map(|effect| [false, true].map(|done| Place::Effect { effect, done }));
    Ok(entries.chain(effects).collect())
}

/// Kills at each of these places, several at a time, and tells each as it ends.
pub fn at_each(places: Vec<Place>, mut tell: impl FnMut(Told) -> Result<()>) -> Result<()> {
    let left = Arc::new(Mutex::new(VecDeque::from(places)));
    let (send, told) = mpsc::channel();
    let workers: Vec<_> = (0..SITES)
        .map(|_| {
            let (left, send) = (Arc::clone(&left), send.clone());
            thread::spawn(move || work(&left, &send))
        })
        .collect();
    drop(send);
    for each in told {
        tell(each)?;
    }
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a worker panicked"))??;
    }
    Ok(())
}

/// Takes places until none is left. A group in which something went wrong is not used again.
fn work(left: &Mutex<VecDeque<Place>>, send: &Sender<Told>) -> Result<()> {
    let next = || left.lock().map_err(|_| anyhow!("a worker panicked")).map(|mut left| left.pop_front());
    let runtime = runtime()?;
    let mut site = None;
    while let Some(place) = next()? {
        let mut used = match site.take() {
            Some(site) => site,
            None => KillSite::start()?,
        };
        let ended = runtime.block_on(play::play(&mut used, Some(place)));
        if ended.is_ok() {
            site = Some(used);
        } else {
            used.keep();
        }
        send.send((place, ended)).context("nobody listens")?;
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
