//! Pure decisions of Lockkeeper. This crate knows nothing about async, I/O, clocks, randomness, logging, Raft or gRPC.
