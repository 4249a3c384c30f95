//! The shipped host against real things: processes, a real HAProxy, sockets, directories.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "host/balancer.rs"]
mod balancer;
#[path = "host/files.rs"]
mod files;
#[path = "host/probes.rs"]
mod probes;
#[path = "host/service.rs"]
mod service;
#[path = "host/steps.rs"]
mod steps;
#[path = "host/support.rs"]
mod support;
#[path = "host/units.rs"]
mod units;
#[path = "host/upgrade.rs"]
mod upgrade;
#[path = "host/web.rs"]
mod web;
