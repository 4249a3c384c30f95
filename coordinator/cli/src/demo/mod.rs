//! The demo: the built-in application, balancer and client that `lockkeeper demo` upgrades before the user's eyes.
//!
//! The parts run as processes of their own (`lockkeeper demo-part …`) and know nothing about Lockkeeper: they are
//! what an operator would have anyway. Only the orchestration beside them knows both sides.

mod agents;
pub mod app;
pub mod balancer;
pub mod client;
pub mod clock;
mod cluster_file;
mod commands;
mod copy;
mod critical_path;
mod evidence;
pub mod fault;
mod fault_upgrader;
pub mod figures;
pub mod inbound;
mod initial;
mod invariants;
mod layout;
pub mod lines;
pub mod outbound;
pub mod part;
pub mod ports;
mod processes;
mod progress;
mod relay;
mod report;
mod result;
pub mod run;
pub mod say;
mod sight;
pub mod stop;
