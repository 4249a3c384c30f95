//! The `Observer` port: an agent looks at its own host. Changes nothing.

use async_trait::async_trait;
use lockkeeper_core::observe::{FactsQuery, HostFacts};

/// Looks at this host.
#[async_trait]
pub trait Observer: Send + Sync + 'static {
    /// What is seen now, value by value, or why not. Every look has a deadline of its own below 30 s.
    async fn observe(&self, query: &FactsQuery) -> HostFacts;
}
