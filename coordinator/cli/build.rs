//! Puts the pages of `deploy/errors` into the binary, so that `lockkeeper explain CODE` needs no file and no network.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo names no manifest directory")?;
    let target = env::var_os("OUT_DIR").ok_or("cargo names no output directory")?;
    let pages = PathBuf::from(manifest).join("../../deploy/errors").canonicalize()?;
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(&pages)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "md")
            && let Some(code) = path.file_stem().and_then(|name| name.to_str())
        {
            found.push((code.to_owned(), path));
        }
    }
    found.sort();
    let mut text = String::from("&[\n");
    for (code, path) in found {
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(text, "    ({code:?}, include_str!({:?})),", path.display().to_string())?;
    }
    text.push_str("]\n");
    fs::write(PathBuf::from(target).join("pages.rs"), text)?;
    Ok(())
}
