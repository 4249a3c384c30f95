//! A TCP connect that is accepted. Weak: the kernel accepts for a process that is stopped; an answer proves more.

use super::Sight;
use lockkeeper_core::time::Millis;
use tokio::net::TcpStream;

/// Connects once and closes again.
pub async fn look(address: &str, timeout: Millis) -> Sight {
    match tokio::time::timeout(timeout.into(), TcpStream::connect(address)).await {
        Err(_) => Sight::Missed(format!("tcp {address}: no answer within {timeout}")),
        Ok(Err(error)) => Sight::Missed(format!("tcp {address}: {error}")),
        Ok(Ok(_)) => Sight::Passed(format!("tcp {address}: accepted")),
    }
}
