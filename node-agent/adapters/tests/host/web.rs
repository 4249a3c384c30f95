//! A small HTTP server whose life, answers and slowness a test decides.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What it answers.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    pub headers: String,
    pub body: String,
    pub delay: Duration,
}

impl Page {
    pub fn ok(body: &str) -> Self {
        Self { status: 200, headers: String::new(), body: body.into(), delay: Duration::ZERO }
    }
}

pub struct Web {
    pub address: SocketAddr,
    page: Arc<Mutex<Page>>,
    /// Requests beside health checks (`/check`).
    pub served: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Web {
    pub async fn start(page: Page) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), page).await
    }

    pub async fn at(address: SocketAddr, page: Page) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let (page, served) = (Arc::new(Mutex::new(page)), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn(accept(listener, page.clone(), served.clone()));
        Self { address, page, served, task }
    }

    pub fn set(&self, page: Page) {
        *self.page.lock().unwrap() = page;
    }

    pub fn count(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }

    /// Ends it; connections in work are cut.
    pub async fn stop(self) {
        self.task.abort();
        let _cancelled = self.task.await;
    }
}

async fn accept(listener: TcpListener, page: Arc<Mutex<Page>>, served: Arc<AtomicU64>) {
    let mut work = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        work.spawn(answer(stream, page.clone(), served.clone()));
        while work.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream, page: Arc<Mutex<Page>>, served: Arc<AtomicU64>) {
    let mut head = Vec::new();
    let mut byte = [0_u8; 512];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(n) if n > 0 => head.extend_from_slice(&byte[..n]),
            _ => return,
        }
    }
    let check = head.starts_with(b"GET /check");
    if !check {
        served.fetch_add(1, Ordering::SeqCst);
    }
    let page = page.lock().unwrap().clone();
    if !check {
        tokio::time::sleep(page.delay).await;
    }
    let text = format!(
        "HTTP/1.1 {} X\r\n{}content-length: {}\r\nconnection: close\r\n\r\n{}",
        page.status,
        page.headers,
        page.body.len(),
        page.body
    );
    let _gone = stream.write_all(text.as_bytes()).await;
    let _gone = stream.shutdown().await;
}

/// One request without retries: status and body.
pub async fn get(address: SocketAddr, extra: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(format!("GET / HTTP/1.1\r\nhost: x\r\n{extra}connection: close\r\n\r\n").as_bytes())
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status in {text:?}")))?;
    Ok((status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}
