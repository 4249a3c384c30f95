//! The identity file, format 1: magic, version, length, checksum, then a frozen struct. Written by rename.
//!
//! ```text
//! magic 4 | version 1 | zero 3 | length 4 | crc 4 || payload
//! ```

use super::{
    Identity, IdentityError,
    fingerprint::{Fingerprint, Signal},
};
use lockkeeper_core::ids::{ClusterId, Digest, Generation, Incarnation, MemberName, NodeId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const MAGIC: [u8; 4] = *b"LKID";
const VERSION: u8 = 1;
const HEADER: usize = 16;

/// The longest file: an identity has a few hundred bytes, a machine with hundreds of network cards some ten KiB.
pub const LENGTH_MAX: u64 = 64 * 1024;

/// Frozen; a later format gets a struct of its own.
#[derive(Debug, Serialize, Deserialize)]
struct IdentityV1 {
    cluster: String,
    name: String,
    node: u64,
    incarnation: u32,
    generation: u64,
    store: [u8; 16],
    signals: Vec<(SignalV1, String)>,
    macs: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum SignalV1 {
    MachineId,
    Smbios,
    Cloud,
    VmGeneration,
}

/// The file's bytes.
pub fn to_bytes(identity: &Identity) -> Result<Vec<u8>, IdentityError> {
    let stored = IdentityV1 {
        cluster: identity.cluster.0.clone(),
        name: identity.name.as_str().to_owned(),
        node: identity.node.0,
        incarnation: identity.incarnation.0,
        generation: identity.generation.0,
        store: *identity.store.as_bytes(),
        signals: identity
            .fingerprint
            .signals
            .iter()
            .map(|(signal, digest)| {
                let signal = match signal {
                    Signal::MachineId => SignalV1::MachineId,
                    Signal::Smbios => SignalV1::Smbios,
                    Signal::Cloud => SignalV1::Cloud,
                    Signal::VmGeneration => SignalV1::VmGeneration,
                };
                (signal, digest.0.clone())
            })
            .collect(),
        macs: identity.fingerprint.macs.iter().map(|mac| mac.0.clone()).collect(),
    };
    let payload = postcard::to_stdvec(&stored).map_err(|_| IdentityError::Damaged("it cannot be encoded"))?;
    let length = u32::try_from(payload.len()).map_err(|_| IdentityError::Damaged("it is too long"))?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// Reads the file's bytes.
pub fn from_bytes(bytes: &[u8]) -> Result<Identity, IdentityError> {
    let damaged = IdentityError::Damaged;
    let (header, payload) = bytes.split_first_chunk::<HEADER>().ok_or(damaged("it is too short"))?;
    let [m0, m1, m2, m3, version, z0, z1, z2, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(damaged("it does not begin as one"));
    }
    if version != VERSION {
        return Err(IdentityError::Newer { found: version, known: VERSION });
    }
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if [z0, z1, z2] != [0; 3] || payload.len() != length {
        return Err(damaged("its length differs"));
    }
    if crc32fast::hash(payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(damaged("its checksum differs"));
    }
    let (stored, rest) =
        postcard::take_from_bytes::<IdentityV1>(payload).map_err(|_| damaged("its content does not read"))?;
    if !rest.is_empty() {
        return Err(damaged("its content does not read"));
    }
    Ok(Identity {
        cluster: ClusterId(stored.cluster),
        name: MemberName::new(stored.name).map_err(|_| damaged("its name is none"))?,
        node: NodeId(stored.node),
        incarnation: Incarnation(stored.incarnation),
        generation: Generation(stored.generation),
        store: Uuid::from_bytes(stored.store),
        fingerprint: Fingerprint {
            signals: stored
                .signals
                .into_iter()
                .map(|(signal, digest)| {
                    let signal = match signal {
                        SignalV1::MachineId => Signal::MachineId,
                        SignalV1::Smbios => Signal::Smbios,
                        SignalV1::Cloud => Signal::Cloud,
                        SignalV1::VmGeneration => Signal::VmGeneration,
                    };
                    (signal, Digest(digest))
                })
                .collect(),
            macs: stored.macs.into_iter().map(Digest).collect(),
        },
    })
}
