//! The numeric kernels of our own models, as custom operations on candle tensors.
//!
//! Why not candle's: on one core of the machine we measured (Zen 5, AVX-512), candle's f32 matrix product reached 62 Gflop/s and
//! [`linear`] 200 Gflop/s on the same shapes in the same run. The difference is the weights, packed once at load instead of at every
//! call, and kernels that use the widest vectors which the processor has (`pulp` chooses at run time). The rest of the BERT
//! operations would then dominate, so they are vectorised too.
//!
//! All of it is safe Rust: vectors come from `pulp`, bounds vanish through `as_chunks`. Every function below a `with_simd` is
//! `#[inline(always)]`: only code inlined there is compiled for the chosen instruction set.
//!
//! CPU and f32 only, row-major and contiguous only.

#![expect(
    clippy::inline_always,
    reason = "code that is not inlined into `with_simd` would be compiled without vector instructions"
)]

pub(crate) mod attention;
pub(crate) mod buffers;
pub(crate) mod cached;
mod half;
pub(crate) mod linear;
mod math;
pub(crate) mod norm;
pub(crate) mod pool;
mod product;
pub(crate) mod quantised;
pub(crate) mod rows;

use candle_core::{CpuStorage, Layout};

/// Over how many threads one operation may be spread: one when the caller is itself one of many parallel tasks.
///
/// Splitting a batch inside a rayon worker would add barriers to work that already fills the cores.
fn threads() -> usize {
    if rayon::current_thread_index().is_some() {
        1
    } else {
        rayon::current_num_threads()
    }
}

/// The elements of a contiguous f32 tensor.
fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("the kernels need contiguous tensors");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}
