//! Many plays, a few at a time.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Plays at the same time: the cores of the smallest machine that runs the tests.
const WORKERS: usize = 2;

/// Plays every item, until `enough` says yes to a result: then what is under way ends, and nothing more begins. Answers in
/// the order in which plays ended.
pub fn play_each<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    play: impl Fn(T) -> R + Sync,
    enough: impl Fn(&R) -> bool + Sync,
) -> Vec<R> {
    let queue: Mutex<VecDeque<T>> = Mutex::new(items.into_iter().collect());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let next = open(&queue).pop_front();
                    let Some(item) = next else { return };
                    let result = play(item);
                    if enough(&result) {
                        open(&queue).clear();
                    }
                    open(&done).push(result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Every change is one push, pop or clear, so a panic elsewhere left it whole.
fn open<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
