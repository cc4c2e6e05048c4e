//! Who still has to be called. Each handler holds a guard, so that one that is lost, or kept, is noticed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The handlers that are neither called nor dropped.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: RefCell<HashMap<u64, Entry>>,
    made: RefCell<u64>,
    trouble: RefCell<Vec<String>>,
}

#[derive(Debug, Default)]
struct Entry {
    called: bool,
    /// It may be dropped without a call.
    silent: bool,
}

/// Part of one handler.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) token: u64,
    ledger: Rc<Ledger>,
}

impl Ledger {
    pub(super) fn guard(self: &Rc<Self>) -> Guard {
        *self.made.borrow_mut() += 1;
        let token = *self.made.borrow();
        self.entries.borrow_mut().insert(token, Entry::default());
        Guard { token, ledger: Rc::clone(self) }
    }

    /// The handler is running.
    pub(super) fn call(&self, guard: &Guard) {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.get_mut(&guard.token).expect("a handler runs after its end");
        assert!(!entry.called, "a handler runs twice");
        assert!(!entry.silent, "a handler runs that was to be dropped");
        entry.called = true;
    }

    /// The handler is about to be dropped without a call, and rightly so.
    pub(super) fn silence(&self, token: u64) {
        self.entries.borrow_mut().get_mut(&token).expect("it is pending").silent = true;
    }

    pub(super) fn silence_all(&self) {
        self.entries.borrow_mut().values_mut().for_each(|entry| entry.silent = true);
    }

    /// Whether the handler still exists.
    pub(super) fn holds(&self, token: u64) -> bool {
        self.entries.borrow().contains_key(&token)
    }

    /// Handlers still to be called.
    pub(super) fn uncalled(&self) -> usize {
        self.entries.borrow().values().filter(|entry| !entry.called).count()
    }

    /// Handlers that exist.
    pub(super) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Fails if a handler was dropped that should have been called.
    pub(super) fn check(&self) {
        assert_eq!(*self.trouble.borrow(), Vec::<String>::new());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let entry = self.ledger.entries.borrow_mut().remove(&self.token).unwrap_or_default();
        if !entry.called && !entry.silent {
            let lost = format!("the handler of request {} is dropped without a call", self.token);
            self.ledger.trouble.borrow_mut().push(lost);
        }
    }
}
