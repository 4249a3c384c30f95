//! A machine's network card with its kernel: runs in turmoil, accepts and dials for the process, and goes on while the
//! process is frozen. So a frozen machine still accepts connections and never answers on them, as a real one does.

use super::{
    hello::Hello,
    replay::{Recorder, Recording, replay},
};
use lockkeeper_proto::transport::{PeerInfo, PeerIo};
use std::{
    collections::VecDeque,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream},
    sync::{Notify, mpsc, oneshot},
};
use turmoil::net::{TcpListener, TcpStream};

/// The port every agent listens on.
pub const PORT: u16 = 7440;

/// Bytes between card and process that nobody has read yet; then the sender waits.
const SOCKET_BUFFER: usize = 64 << 10;

/// How long a card waits for the other side's hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// A process asks its card for a connection.
pub struct Dial {
    /// Name of the machine at the other end.
    pub to: String,
    /// Gets the connection with the identity at its other end.
    pub answer: oneshot::Sender<io::Result<(DuplexStream, Hello)>>,
}

#[derive(Default)]
struct State {
    /// Where accepted connections go; none while no process listens.
    process: Option<mpsc::UnboundedSender<PeerIo>>,
    dials: VecDeque<Dial>,
    replays: VecDeque<Recording>,
    recordings: VecDeque<Recording>,
}

/// What card and process share. Clones are the same card.
#[derive(Clone)]
pub struct Card {
    hello: Hello,
    state: Arc<Mutex<State>>,
    wake: Arc<Notify>,
}

/// Finished recordings kept for replays; older ones are forgotten.
const RECORDINGS_MAX: usize = 16;

impl Card {
    /// The card of a machine whose process is `hello` to everybody.
    pub fn new(hello: Hello) -> Self {
        Self { hello, state: Arc::default(), wake: Arc::default() }
    }

    /// A process begins to listen; a former one hears nothing more.
    pub fn listen(&self) -> mpsc::UnboundedReceiver<PeerIo> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state().process = Some(sender);
        receiver
    }

    /// No process listens any more.
    pub fn silence(&self) {
        let mut state = self.state();
        state.process = None;
        state.dials.clear();
    }

    /// Asks for a connection.
    pub fn dial(&self, dial: Dial) {
        self.state().dials.push_back(dial);
        self.wake.notify_one();
    }

    /// What this machine said on earlier connections, newest last.
    pub fn recordings(&self) -> Vec<Recording> {
        self.state().recordings.iter().cloned().collect()
    }

    /// Says again, on a new connection, what was said on an old one.
    pub fn replay(&self, recording: Recording) {
        self.state().replays.push_back(recording);
        self.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The card's software, run by turmoil; begins anew when the machine is switched on.
    pub async fn run(self) -> turmoil::Result {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        loop {
            tokio::select! {
                biased;
                accepted = listener.accept() => {
                    if let Ok((stream, address)) = accepted {
                        tokio::task::spawn_local(self.clone().accept(stream, address));
                    }
                }
                () = self.wake.notified() => {
                    let (dials, replays) = {
                        let mut state = self.state();
                        (std::mem::take(&mut state.dials), std::mem::take(&mut state.replays))
                    };
                    for dial in dials {
                        tokio::task::spawn_local(self.clone().connect(dial));
                    }
                    for recording in replays {
                        tokio::task::spawn_local(replay(recording));
                    }
                }
            }
        }
    }

    async fn accept(self, mut stream: TcpStream, address: std::net::SocketAddr) {
        let greeting = async {
            let caller = Hello::read(&mut stream).await?;
            self.hello.write(&mut stream).await?;
            io::Result::Ok(caller)
        };
        let Ok(Ok(caller)) = tokio::time::timeout(HELLO_TIMEOUT, greeting).await else { return };
        let (near, far) = tokio::io::duplex(SOCKET_BUFFER);
        let info = PeerInfo { identity: caller.0, address: Some(address) };
        let sent = self.state().process.as_ref().is_some_and(|p| p.send(PeerIo::new(far, info)).is_ok());
        if sent {
            pump(stream, near, None).await;
        }
    }

    async fn connect(self, dial: Dial) {
        let connected = async {
            let mut stream = TcpStream::connect((dial.to.as_str(), PORT)).await?;
            self.hello.write(&mut stream).await?;
            let other = Hello::read(&mut stream).await?;
            io::Result::Ok((stream, other))
        };
        let made = tokio::time::timeout(HELLO_TIMEOUT, connected).await;
        let (stream, other) = match made {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => return drop(dial.answer.send(Err(error))),
            Err(_) => return drop(dial.answer.send(Err(io::ErrorKind::TimedOut.into()))),
        };
        let (near, far) = tokio::io::duplex(SOCKET_BUFFER);
        if dial.answer.send(Ok((far, other))).is_err() {
            return;
        }
        let recorder = self.hello.line().ok().map(|line| Recorder::new(&dial.to, &line));
        if let Some(recording) = pump(stream, near, recorder).await {
            let mut state = self.state();
            if state.recordings.len() >= RECORDINGS_MAX {
                state.recordings.pop_front();
            }
            state.recordings.push_back(recording);
        }
    }
}

/// Carries bytes both ways until one side ends or breaks; answers what was said by this side.
async fn pump(stream: TcpStream, near: DuplexStream, mut recorder: Option<Recorder>) -> Option<Recording> {
    let (mut from_net, mut to_net) = stream.into_split();
    let (mut from_process, mut to_process) = tokio::io::split(near);
    let out = async {
        copy(&mut from_process, &mut to_net, |bytes| {
            if let Some(recorder) = &mut recorder {
                recorder.said(bytes);
            }
        })
        .await
    };
    let into = copy(&mut from_net, &mut to_process, |_| ());
    // Either end ends both: HTTP/2 makes no use of half-closed connections.
    tokio::select! {
        biased;
        _ = out => {}
        _ = into => {}
    }
    recorder.and_then(Recorder::finish)
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut seen: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        seen(bytes);
        to.write_all(bytes).await?;
    }
}
