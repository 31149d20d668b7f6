//! Where the threads of one program run: beside each other, as far as the machine has processors.

use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use tokio::sync::Semaphore;

/// Threads that do short blocking work one after the other.
const THREADS: usize = 2;

/// Whose turn it is.
pub static TURNS: Semaphore = Semaphore::const_new(THREADS);

/// How long blocking work waits for its turn.
pub const PATIENCE: Duration = Duration::from_millis(5);

/// Makes the threads for short work before there is any. A thread that waits wakes on a processor that is idle; one that
/// is made for its work may have to stand behind the one before.
pub fn make() {
    for _ in 0..THREADS {
        tokio::task::spawn_blocking(|| ());
    }
}

/// The processor on which the caller runs, for [`leave`].
#[must_use]
pub fn here() -> usize {
    sched_getcpu()
}

/// Moves the calling thread away from the processor on which the thread runs that made it, if it may run anywhere else.
/// Linux often leaves the two together although another processor is idle, and they take turns for many milliseconds.
/// Afterwards the thread is where the system wants it, as before.
pub fn leave(processor: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut others = allowed;
    if processor < CpuSet::MAX_CPU {
        others.unset(processor);
    }
    if others.count() > 0 && sched_setaffinity(None, &others).is_ok() {
        sched_setaffinity(None, &allowed).ok();
    }
}

/// Gets memory for a thread that makes many small things. The C library enlarges what a thread has page by page, each
/// time through the kernel, unless it was larger before.
pub fn make_room() {
    // Larger pieces would stand elsewhere.
    const PIECE: usize = 96 * 1024;
    let room: [Vec<u8>; 5] = std::array::from_fn(|_| Vec::with_capacity(PIECE));
    std::hint::black_box(room);
}

/// Lets a thread that was just made go first, so that it can [`leave`]: it may stand behind the caller, who has work for
/// many milliseconds.
pub fn let_leave() {
    std::thread::yield_now();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_has_moved_may_run_wherever_it_might_before() {
        let allowed = sched_getaffinity(None).expect("a set");
        let left = here();
        std::thread::spawn(move || {
            leave(left);
            assert_eq!(sched_getaffinity(None).expect("a set"), allowed);
            leave(usize::MAX);
            assert_eq!(sched_getaffinity(None).expect("a set"), allowed);
        })
        .join()
        .expect("no panic");
    }
}
