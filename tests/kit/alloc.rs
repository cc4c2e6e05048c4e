//! Counting what is allocated.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; every call is passed on unchanged")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The system's allocator, with counters.
///
/// The counters are relaxed: exact once the threads that allocate are joined, close before. A thread's own earlier
/// calls are always in what it reads. They count the bytes asked for, not what the allocator rounds them up to.
///
/// ```
/// use testkit::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::new();
///
/// let before = ALLOCATOR.allocations();
/// let bytes = vec![0_u8; 1 << 20];
/// assert!(ALLOCATOR.live_bytes() >= 1 << 20);
/// drop(bytes);
/// assert!(ALLOCATOR.allocations() > before);
/// assert!(ALLOCATOR.peak_bytes() >= 1 << 20);
/// ```
#[derive(Debug, Default)]
pub struct CountingAllocator {
    live: AtomicUsize,
    peak: AtomicUsize,
    allocations: AtomicU64,
}

impl CountingAllocator {
    /// Counters at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self { live: AtomicUsize::new(0), peak: AtomicUsize::new(0), allocations: AtomicU64::new(0) }
    }

    /// Bytes allocated and not freed yet.
    #[must_use]
    pub fn live_bytes(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// The most bytes that were live at one time, since the start or [`Self::reset_peak`].
    #[must_use]
    pub fn peak_bytes(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Allocations made; one that grows or shrinks counts again, freeing does not.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        self.allocations.load(Ordering::Relaxed)
    }

    /// Makes what is live now the peak, to measure the next phase alone.
    pub fn reset_peak(&self) {
        self.peak.store(self.live_bytes(), Ordering::Relaxed);
    }

    fn added(&self, bytes: usize) {
        self.allocations.fetch_add(1, Ordering::Relaxed);
        let live = self.live.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(live, Ordering::Relaxed);
    }

    fn removed(&self, bytes: usize) {
        self.live.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every method passes its arguments to `System`, which fulfills the contract, and returns what that returned;
// the counters are atomics, which neither allocate nor unwind.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what `System.alloc` asks for: a layout of non-zero size.
        let memory = unsafe { System.alloc(layout) };
        if !memory.is_null() {
            self.added(layout.size());
        }
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        let memory = unsafe { System.alloc_zeroed(layout) };
        if !memory.is_null() {
            self.added(layout.size());
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller promises that this allocator gave `memory` for `layout`, so `System` did.
        unsafe { System.dealloc(memory, layout) };
        self.removed(layout.size());
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`, and the caller promises that `size` is valid for the layout's alignment.
        let moved = unsafe { System.realloc(memory, layout, size) };
        if !moved.is_null() {
            // First the old, then the new: a growth in place must not count both in the peak.
            self.removed(layout.size());
            self.added(size);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_live_peak_and_calls() {
        let counted = CountingAllocator::new();
        let layout = Layout::from_size_align(1000, 8).unwrap();
        // SAFETY: the layout's size is not zero, and each pointer is used with the layout it was made for, and freed once.
        unsafe {
            let first = counted.alloc(layout);
            let zeroed = counted.alloc_zeroed(layout);
            assert_eq!(*zeroed, 0);
            assert_eq!((counted.live_bytes(), counted.peak_bytes(), counted.allocations()), (2000, 2000, 2));

            let grown = counted.realloc(first, layout, 5000);
            assert_eq!((counted.live_bytes(), counted.peak_bytes(), counted.allocations()), (6000, 6000, 3));

            counted.dealloc(zeroed, layout);
            counted.reset_peak();
            assert_eq!((counted.live_bytes(), counted.peak_bytes()), (5000, 5000));
            counted.dealloc(grown, Layout::from_size_align(5000, 8).unwrap());
        }
        assert_eq!((counted.live_bytes(), counted.peak_bytes(), counted.allocations()), (0, 5000, 3));
    }
}
