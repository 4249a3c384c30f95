//! The demo's parts, run as the processes they are, on loopback: what the shipped adapters and the report rely on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, helpers included")]

mod adapter;
mod app;
mod balancer;
mod bed;
mod client;
mod haproxy;
mod held;
mod upgrade;
mod whole;
