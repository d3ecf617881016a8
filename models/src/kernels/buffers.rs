//! Memory for the results between the kernels of a step, used again and again.
//!
//! A prompt of 512 tokens needs some 36 MB at a time. Taken from the system and given back for every result, its pages cost 13 % of the
//! processor time of a prompt.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// Buffers kept, the largest: as many as a layer has at a time. Others are given back to the system.
const KEPT: usize = 10;

/// The buffers that nobody uses at the moment.
#[derive(Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<f32>>>);

/// Numbers that return to their buffers when dropped.
pub(crate) struct Buffer<'a> {
    numbers: Vec<f32>,
    home: &'a Buffers,
}

impl Buffers {
    /// A buffer of `count` numbers, whatever they are: it must be written before it is read.
    pub(crate) fn take(&self, count: usize) -> Buffer<'_> {
        let mut numbers = self.find(count).unwrap_or_default();
        numbers.resize(count, 0.0);
        self.adopt(numbers)
    }

    /// Numbers that were made elsewhere.
    pub(crate) fn adopt(&self, numbers: Vec<f32>) -> Buffer<'_> {
        Buffer {
            numbers,
            home: self,
        }
    }

    /// The smallest that has room.
    fn find(&self, count: usize) -> Option<Vec<f32>> {
        let mut unused = self.0.lock().ok()?;
        let fitting = unused
            .iter()
            .enumerate()
            .filter(|(_, one)| one.capacity() >= count);
        let (best, _) = fitting.min_by_key(|(_, one)| one.capacity())?;
        Some(unused.swap_remove(best))
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        let Ok(mut unused) = self.home.0.lock() else {
            return;
        };
        unused.push(std::mem::take(&mut self.numbers));
        if unused.len() > KEPT {
            let sizes = unused.iter().map(Vec::capacity).enumerate();
            if let Some((smallest, _)) = sizes.min_by_key(|(_, size)| *size) {
                unused.swap_remove(smallest);
            }
        }
    }
}

impl Deref for Buffer<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_buffer_with_room_is_used_again() {
        let buffers = Buffers::default();
        let addresses = [100, 10]
            .map(|count| buffers.take(count))
            .map(|one| one.as_ptr());
        let both = [buffers.take(5), buffers.take(60)];
        assert_eq!([both[1].as_ptr(), both[0].as_ptr()], addresses);
        assert_eq!(both[1].len(), 60);
    }

    #[test]
    fn only_the_largest_are_kept() {
        let buffers = Buffers::default();
        drop((0..KEPT + 3).map(|_| buffers.take(8)).collect::<Vec<_>>());
        drop(buffers.take(9));
        let unused = buffers.0.lock().unwrap();
        assert_eq!(unused.len(), KEPT);
        assert!(unused.iter().any(|one| one.capacity() > 8));
    }
}
