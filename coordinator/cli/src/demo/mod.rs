//! The demo: the built-in application, balancer and client that `lockkeeper demo` upgrades before the user's eyes.
//!
//! The parts run as processes of their own (`lockkeeper demo-part …`) and know nothing about Lockkeeper: they are
//! what an operator would have anyway. Only the orchestration beside them knows both sides.

pub mod app;
pub mod balancer;
pub mod client;
pub mod clock;
pub mod figures;
pub mod inbound;
pub mod lines;
pub mod outbound;
pub mod part;
pub mod ports;
pub mod stop;
