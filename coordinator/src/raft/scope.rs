//! Puts requests into the scope of simulation's random numbers.
//!
//! hyper runs each request on a task that it spawns itself, outside the scope from which [`Simulation`] draws, where
//! openraft would panic. So in simulation every request gets a scope of its own, with a seed from a counter.

use super::types::Simulation;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Between two seeds: the golden ratio, so that neighbours have nothing in common.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Wraps a server's services; for simulation only. Clones count on together.
#[derive(Debug, Clone)]
pub struct ScopeLayer {
    seed: Arc<AtomicU64>,
}

/// A service each of whose requests runs in a scope.
#[derive(Debug, Clone)]
pub struct Scope<S> {
    inner: S,
    seed: Arc<AtomicU64>,
}

impl ScopeLayer {
    /// `seed` should differ between hosts and between starts of one host.
    pub fn new(seed: u64) -> Self {
        Self { seed: Arc::new(AtomicU64::new(seed)) }
    }

    /// Runs something else, such as the host's main task, in a scope.
    pub fn run<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        Simulation::scope(self.seed.fetch_add(STEP, Ordering::Relaxed), work)
    }
}

impl<S> Layer<S> for ScopeLayer {
    type Service = Scope<S>;
    fn layer(&self, inner: S) -> Scope<S> {
        Scope { inner, seed: self.seed.clone() }
    }
}

impl<S, R> Service<R> for Scope<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        Box::pin(Simulation::scope(self.seed.fetch_add(STEP, Ordering::Relaxed), self.inner.call(request)))
    }
}
