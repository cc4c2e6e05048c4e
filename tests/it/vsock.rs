//! Sockets across the border of a virtual machine. A machine without the loopback transport has no peer for them that a
//! test may talk to (what is not for this machine goes to its host), so this tests what never leaves: the text, and a
//! failure of this machine.

use std::time::Duration;

use nsock::trace::Level;
use nsock::{Failure, Fault, Pool};
use testkit::{descriptor_limit_leaving, exclusive, in_own_process, with_descriptor_limit};

use crate::support::Transcript;

/// The host, as seen from a virtual machine.
const CID_HOST: u32 = 2;

#[test]
fn a_vsock_that_cannot_be_made_is_a_local_failure_and_the_trace_says_where_it_would_have_gone() {
    in_own_process(
        "vsock::a_vsock_that_cannot_be_made_is_a_local_failure_and_the_trace_says_where_it_would_have_gone",
        || {
            let mut pool = Pool::<Vec<Failure>>::new().unwrap();
            let transcript = Transcript::of(&mut pool, Level::Info);
            let limit = Some(Duration::from_secs(1));
            let right = exclusive();
            with_descriptor_limit(&right, descriptor_limit_leaving(0).unwrap(), || {
                let (stream, datagram) = (pool.iod_new(), pool.iod_new());
                pool.connect_vsock_stream(stream, CID_HOST, 7, limit, |failures, _, ev| {
                    failures.extend(ev.outcome.err());
                });
                pool.connect_vsock_datagram(datagram, CID_HOST, 7, |failures, _, ev| {
                    failures.extend(ev.outcome.err());
                });
            })
            .unwrap();
            let mut failures = Vec::new();
            pool.run(&mut failures, limit).unwrap();
            assert_eq!(failures.len(), 2, "{failures:?}");
            assert!(failures.iter().all(|failure| failure.fault() == Fault::Local), "{failures:?}");
            let text = transcript.text();
            for line in [
                "vsock stream connection requested to 2:7 (IOD #1) (timeout: 1000ms) EID 8",
                "vsock dgram connection requested to 2:7 (IOD #2) EID 16",
                "for EID 8 [2:7]",
            ] {
                assert!(text.contains(line), "{line} in {text}");
            }
        },
    );
}
