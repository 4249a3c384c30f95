//! Compiles every `.proto` file below `proto/` without `protoc`, and keeps the descriptors for reflection and for the
//! test that forbids incompatible changes.

use prost::Message as _;
use std::error::Error;
use std::path::{Path, PathBuf};

fn collect(directory: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("proto");
    println!("cargo:rerun-if-changed=proto");
    let mut files = Vec::new();
    collect(root, &mut files)?;
    // Directory order differs between file systems; the generated file must not.
    files.sort();
    let descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Commands and snapshots are the only large fields; they are handed on without a copy.
        .bytes(".lockkeeper.v1.RaftEntry")
        .bytes(".lockkeeper.v1.RaftSnapshotFrame")
        // These carry secrets; `transport::redacted` gives them a `Debug` that does not show them.
        .skip_debug([".lockkeeper.v1.JoinRequest", ".lockkeeper.v1.IssuingAuthority"])
        .compile_fds(descriptors)?;
    Ok(())
}
