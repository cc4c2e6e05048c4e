//! Which tasks are to be polled, told from any thread.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};

use crate::backend::Waker as EngineWaker;

#[derive(Default)]
struct Queue {
    order: VecDeque<u64>,
    /// The same, to be found.
    queued: HashSet<u64>,
}

/// Tasks to be polled, each once, in the order in which they were woken.
pub(super) struct Ready {
    queue: Mutex<Queue>,
    engine: EngineWaker,
    home: ThreadId,
}

impl Ready {
    pub(super) fn new(engine: EngineWaker) -> Self {
        Self { queue: Mutex::default(), engine, home: thread::current().id() }
    }

    pub(super) fn push(&self, task: u64) {
        let mut queue = self.lock();
        if queue.queued.insert(task) {
            queue.order.push_back(task);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().order.len()
    }

    pub(super) fn pop(&self) -> Option<u64> {
        let mut queue = self.lock();
        let task = queue.order.pop_front()?;
        queue.queued.remove(&task);
        Some(task)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts one task on the list, and ends the engine's wait if it comes from another thread.
pub(super) struct TaskWaker {
    task: u64,
    ready: Arc<Ready>,
}

impl TaskWaker {
    pub(super) fn of(task: u64, ready: &Arc<Ready>) -> Waker {
        Waker::from(Arc::new(Self { task, ready: Arc::clone(ready) }))
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.push(self.task);
        if thread::current().id() != self.ready.home {
            // It fails only where the engine's own descriptor is gone, and then nobody waits.
            let _ = self.ready.engine.wake();
        }
    }
}
