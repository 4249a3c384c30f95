//! The one installed binary: operator commands, `agent run` and `demo`. Wiring only.
fn main() {}
