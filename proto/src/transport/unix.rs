//! The agent's local socket. Who calls is told by the kernel.

use futures::StreamExt as _;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;

use super::error::TransportError;
use super::io::{Incoming, PeerIo};
use super::limits;
use super::peer::{PeerIdentity, PeerInfo};

/// Read and write for owner and group: `lockkeeper` is the group of operators.
const MODE: u32 = 0o660;

/// Makes the socket at `path` (mode 0660, group `gid` if given, a stale one replaced) and accepts on it. Must be
/// called inside a tokio runtime. `LK4017` if another process answers there.
pub fn listen_unix(path: &Path, gid: Option<u32>) -> Result<Incoming, TransportError> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(TransportError::SocketInUse { path: path.to_owned() });
    }
    let listener = bind(path, gid)?;
    let incoming = UnixListenerStream::new(listener).filter_map(|accepted| async move {
        match accepted.and_then(identify) {
            Ok(io) => Some(Ok(io)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept on the local socket");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                None
            }
        }
    });
    Ok(Box::pin(incoming))
}

/// Binds in a private directory and moves the socket into place when its mode is right: there is no moment in which
/// somebody else can connect, and the old socket is replaced by one step.
fn bind(path: &Path, gid: Option<u32>) -> Result<UnixListener, TransportError> {
    let private = private_directory(path);
    let fail = |action: &'static str| {
        let path = path.to_owned();
        move |source: io::Error| TransportError::Socket { action, path, source: Arc::new(source) }
    };
    // Left over from a crash, or not there: both are fine, and `create` below tells anything else.
    let _ = std::fs::remove_dir_all(&private);
    std::fs::DirBuilder::new().mode(0o700).create(&private).map_err(fail("make a directory beside"))?;
    let inside = private.join("s");
    let bound = (|| {
        let listener = UnixListener::bind(&inside).map_err(fail("bind"))?;
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(MODE)).map_err(fail("chmod"))?;
        if gid.is_some() {
            std::os::unix::fs::chown(&inside, None, gid).map_err(fail("set the group of"))?;
        }
        std::fs::rename(&inside, path).map_err(fail("move into place"))?;
        Ok(listener)
    })();
    // Empty by now, or the socket never got into place; either way it is only litter.
    let _ = std::fs::remove_dir_all(&private);
    bound
}

/// Beside the socket, because a rename must stay on one file system; short, because socket paths are (108 bytes).
fn private_directory(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn identify(stream: UnixStream) -> io::Result<PeerIo> {
    let peer = stream.peer_cred()?;
    let identity = PeerIdentity::Unix { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() };
    Ok(PeerIo::new(stream, PeerInfo { identity, address: None }))
}
