//! Spreads tasks over the threads that candle's quantised products already use.
//!
//! The decoder alternates between those products and kernels of its own some two hundred times a token. On a pool of our own each
//! change would wake other threads while the first ones still spin for work: on two cores that costs more than the work.
//!
//! A task must not panic: candle's pool cannot be used again after that.

use std::sync::Mutex;

use candle_core::utils::barrier_pool;

/// Runs `work` once for each task, in any order and on any thread. One task runs on the caller's.
pub(crate) fn for_each<T: Send>(tasks: Vec<T>, work: impl Fn(T) + Sync) {
    if tasks.len() < 2 {
        return tasks.into_iter().for_each(work);
    }
    // A lock that nobody else ever wants hands each task to whichever thread comes to its place.
    let slots: Vec<Mutex<Option<T>>> = tasks.into_iter().map(|t| Mutex::new(Some(t))).collect();
    barrier_pool().execute_chunked(slots.len(), |range| {
        for slot in &slots[range] {
            let task = slot.lock().ok().and_then(|mut slot| slot.take());
            if let Some(task) = task {
                work(task);
            }
        }
    });
}

/// Threads that share the tasks.
pub(crate) fn threads() -> usize {
    barrier_pool().n_workers() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for count in [0, 1, 2, 7, 100] {
            let mut out = vec![0; count];
            let tasks: Vec<(usize, &mut usize)> = out.iter_mut().enumerate().collect();
            for_each(tasks, |(index, slot)| *slot += index + 1);
            assert!(out.iter().enumerate().all(|(index, n)| *n == index + 1));
        }
    }
}
