//! Wire types, conversions and transport. prost, tonic and rustls types stop here.

/// Generated from the `.proto` files; only conversions and the thin service files name these types.
#[expect(missing_docs, reason = "generated code; the .proto files carry the comments")]
#[allow(clippy::all, reason = "generated code")]
pub mod pb {
    tonic::include_proto!("lockkeeper.v1");
}
pub mod transport;
pub mod wire;

/// All `.proto` files as one encoded `FileDescriptorSet`, for reflection and for the test of compatibility.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
pub mod client;
pub mod port;
