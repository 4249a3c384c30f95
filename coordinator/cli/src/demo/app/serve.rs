//! `app serve`: from the schema guard over the warm-up to the last answer after SIGTERM.

use super::Installed;
use super::guard::{self, Refused};
use super::journal::{AppLog, Event};
use super::routes::Library;
use super::store::{self, What};
use super::work::Rounds;
use crate::demo::inbound;
use crate::demo::stop::{self, Stdin};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Threads for requests; the database's own work runs beside them. Three members share two cores in the demo.
const THREADS: usize = 2;

/// How long to wait for an address that is still in use, for instance by the process this one replaces.
const BIND_LIMIT: Duration = Duration::from_secs(2);

/// How `serve` is started.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    installed: Installed,
    /// The address to listen on.
    #[arg(long)]
    listen: SocketAddr,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let log = AppLog::open(&args.installed)?;
    let outcome = start(&log, args);
    match &outcome {
        Ok(()) => log.say(Event::Stopped, "all requests answered"),
        Err(error) if error.is::<Refused>() => log.say(Event::Refused, &format!("{error:#}")),
        Err(error) => log.say(Event::Failed, &format!("{error:#}")),
    }
    log.finish()?;
    outcome.map(|()| ExitCode::SUCCESS)
}

fn start(log: &AppLog, args: &Args) -> anyhow::Result<()> {
    let who = log.who();
    let (reader, writer) = (store::open(&args.installed.database)?, store::open(&args.installed.database)?);
    if let Some(complaint) = guard::look(&reader, who.version)?.complaint(who) {
        return Err(Refused(complaint).into());
    }
    store::audit(&writer, who, What::Start, &args.listen.to_string())?;
    log.say(
        Event::Start,
        &format!("listens on {}, database {}", args.listen, args.installed.database.display()),
    );
    let rounds = Rounds(store::setting(&reader, "rounds")?);
    let warm_rounds = Rounds(store::setting(&reader, "warm_rounds")?);
    let library = Arc::new(Library::new(log.clone(), rounds, reader, writer));
    stop::run(THREADS, serve(log, args.listen, library, warm_rounds))
}

async fn serve(
    log: &AppLog,
    listen: SocketAddr,
    library: Arc<Library>,
    warm_rounds: Rounds,
) -> anyhow::Result<()> {
    let stop = stop::listen(Stdin::Ignored)?;
    let listener = bind(listen).await?;
    let begun = Instant::now();
    let (warming, said) = (Arc::clone(&library), log.clone());
    tokio::task::spawn_blocking(move || match warming.warm_up(warm_rounds) {
        Ok(notes) => said.say(Event::Ready, &format!("{notes} notes in {} ms", begun.elapsed().as_millis())),
        // It stays not ready, which every probe sees.
        Err(error) => said.say(Event::Failed, &format!("warm-up: {error:#}")),
    });
    let (told, said) = (stop.clone(), log.clone());
    let stopping = tokio::spawn(async move {
        stop::told(&told).await;
        said.say(Event::Stopping, "no new connections");
    });
    inbound::serve(listener, stop, move |_, request| Arc::clone(&library).answer(request))
        .await
        .context("the listener broke")?;
    // It ended because it was told to, so this was told too; said after the log is closed it would be lost.
    stopping.await.context("the last word could not be said")
}

async fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    let deadline = tokio::time::Instant::now() + BIND_LIMIT;
    loop {
        match TcpListener::bind(listen).await {
            Err(error)
                if error.kind() == std::io::ErrorKind::AddrInUse
                    && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            bound => return bound.with_context(|| format!("cannot listen on {listen}")),
        }
    }
}
