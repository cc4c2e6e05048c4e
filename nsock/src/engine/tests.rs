//! What only the inside can see.

use std::time::Duration;

use super::*;
use crate::request::Request;

#[test]
fn contract_09_memory_returns_after_a_burst() {
    let mut engine = Engine::new().unwrap();
    let minute = Some(Duration::from_secs(60));
    let ids: Vec<_> = (0..100_000).map(|_| engine.submit(Request::Timer, minute)).collect();
    for (index, id) in ids.into_iter().enumerate() {
        assert!(engine.cancel(id, if index % 2 == 0 { Notice::Silent } else { Notice::Given }));
    }
    while engine.pending() > 0 {
        engine.turn(Some(Duration::ZERO)).unwrap();
        while engine.next_done().is_some() {}
    }
    for _ in 0..20 {
        engine.turn(Some(Duration::ZERO)).unwrap();
    }
    assert!(engine.ops.capacity() <= 1024, "{} events", engine.ops.capacity());
    assert!(engine.done.capacity() <= 8192, "{} completions", engine.done.capacity());
    assert_eq!(engine.deadlines.next(), None);
}
