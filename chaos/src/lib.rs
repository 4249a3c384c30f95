//! Deterministic simulation: the shipped wiring over fake hosts, one invariant a file. Never names the adapters.
