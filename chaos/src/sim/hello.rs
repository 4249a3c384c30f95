//! The first line of every simulated connection: who calls, told in clear. It stands for what a certificate proves.

use lockkeeper_core::{
    identity::Role,
    ids::{ActorName, ClusterId, Incarnation, MemberName},
};
use lockkeeper_proto::transport::PeerIdentity;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Longest line: names have at most 63 characters.
const LINE_MAX: usize = 256;

/// Who is at one end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello(pub PeerIdentity);

impl Hello {
    /// A node's.
    pub fn node(cluster: &ClusterId, name: &MemberName) -> Self {
        Self(PeerIdentity::Node { cluster: cluster.clone(), name: name.clone(), incarnation: Incarnation(1) })
    }

    /// An operator's.
    pub fn operator(cluster: &ClusterId, name: &ActorName, role: Role) -> Self {
        Self(PeerIdentity::Operator { cluster: cluster.clone(), name: name.clone(), role })
    }

    /// Says it.
    pub async fn write(&self, wire: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        wire.write_all(self.line()?.as_bytes()).await
    }

    /// Hears it.
    pub async fn read(wire: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut line = Vec::new();
        loop {
            match wire.read_u8().await? {
                b'\n' => break,
                byte if line.len() < LINE_MAX => line.push(byte),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        let text = String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData)?;
        Self::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The line, with its end.
    pub fn line(&self) -> io::Result<String> {
        match &self.0 {
            PeerIdentity::Node { cluster, name, incarnation } => {
                Ok(format!("node {} {name} {}\n", cluster.0, incarnation.0))
            }
            PeerIdentity::Operator { cluster, name, role } => {
                Ok(format!("operator {} {name} {role}\n", cluster.0))
            }
            PeerIdentity::Unix { .. } | PeerIdentity::Joining => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (kind, cluster, name, last) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let cluster = ClusterId(cluster.to_owned());
        match kind {
            "node" => Some(Self(PeerIdentity::Node {
                cluster,
                name: MemberName::new(name).ok()?,
                incarnation: Incarnation(last.parse().ok()?),
            })),
            "operator" => Some(Self(PeerIdentity::Operator {
                cluster,
                name: ActorName::new(name).ok()?,
                role: last.parse().ok()?,
            })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let node = Hello::node(&ClusterId("c-1".into()), &MemberName::new("n1").unwrap());
        let ann = Hello::operator(&ClusterId("c-1".into()), &ActorName::new("ann").unwrap(), Role::Approver);
        for hello in [node, ann] {
            let line = hello.line().unwrap();
            assert_eq!(Hello::parse(line.trim_end()), Some(hello));
        }
    }
}
