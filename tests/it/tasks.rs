//! Futures over the engine: what they promise beyond what the engine does.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use nsock::tasks::Tasks;
use nsock::{End, Failure, Output, PcapOptions, Request};
use testkit::{Step, TcpEcho, TcpScript, UdpEcho, closed_port, need_root};

use crate::support::{LIMIT, ms};

/// Whichever of the two ends first; the other one is dropped.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Pending => other.as_mut().poll(context),
        ready => ready,
    })
    .await
}

#[test]
fn a_probe_is_straight_line_code_and_leaves_nothing_behind() {
    let steps = vec![Step::ReceiveLine, Step::Send(b"hello\nyou\n".to_vec()), Step::Close];
    let server = TcpScript::start(steps).unwrap();
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    let (lines, end) = tasks
        .run(async {
            let iod = net.iod();
            assert_eq!(net.connect_tcp(*iod, server.address(), LIMIT).await?.peer, server.address());
            net.write(*iod, b"anybody?\n", LIMIT).await?;
            let got = net.readlines(*iod, 2, LIMIT).await?;
            let end = net.read(*iod, LIMIT).await;
            Ok::<_, Failure>((got.bytes, end))
        })
        .unwrap()
        .unwrap();
    assert_eq!((lines.as_slice(), end), (&b"hello\nyou\n"[..], Err(Failure::Eof)));
    assert_eq!(net.engine_ref().pending(), 0);
    assert!(net.engine_mut().report().is_empty(), "{}", net.engine_mut().report());
}

#[test]
fn a_refused_connect_is_an_error_of_the_await() {
    let closed = closed_port().unwrap();
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    let failure = tasks
        .run(async {
            let iod = net.iod();
            net.connect_tcp(*iod, closed.address(), LIMIT).await.unwrap_err()
        })
        .unwrap();
    assert_eq!(failure.errno(), Some(libc::ECONNREFUSED));
}

#[test]
fn a_future_that_is_dropped_cancels_its_event_and_loses_no_byte() {
    let echo = TcpEcho::start().unwrap();
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    tasks
        .run(async {
            let iod = net.iod();
            net.connect_tcp(*iod, echo.address(), LIMIT).await.unwrap();
            net.write(*iod, b"half a", LIMIT).await.unwrap();
            // The read has some of its bytes when time is up, and is dropped with them.
            let patience = async { net.sleep(ms(30)).await.map(|()| None) };
            let line = async { net.readlines(*iod, 1, None).await.map(Some) };
            assert_eq!(first(line, patience).await, Ok(None));
            assert_eq!(net.engine_ref().pending(), 0, "the read is cancelled");
            net.write(*iod, b" line\n", LIMIT).await.unwrap();
            let got = net.readlines(*iod, 1, LIMIT).await.unwrap();
            assert_eq!(got.bytes, b"half a line\n");
        })
        .unwrap();
}

#[test]
fn tasks_run_beside_each_other_and_are_joined() {
    let echo = TcpEcho::start().unwrap();
    let address = echo.address();
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    let sum = tasks
        .run(async {
            let joins: Vec<_> = (1..=50_u32)
                .map(|number| {
                    let own = net.clone();
                    net.spawn(async move {
                        let iod = own.iod();
                        own.connect_tcp(*iod, address, LIMIT).await?;
                        own.write(*iod, format!("{number}\n").as_bytes(), LIMIT).await?;
                        let got = own.readlines(*iod, 1, LIMIT).await?;
                        Ok::<u32, Failure>(String::from_utf8_lossy(&got.bytes).trim().parse().unwrap())
                    })
                })
                .collect();
            let mut sum = 0;
            for join in joins {
                sum += join.await.unwrap();
            }
            sum
        })
        .unwrap();
    assert_eq!(sum, 50 * 51 / 2);
    assert!(net.engine_mut().report().is_empty());
}

#[test]
fn a_task_that_is_not_awaited_goes_on_in_the_next_run_and_ends_with_the_executor() {
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    let (done, dropped) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    struct OnDrop(Rc<Cell<bool>>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let (own, count, guard) = (net.clone(), Rc::clone(&done), OnDrop(Rc::clone(&dropped)));
    let _alone = net.spawn(async move {
        let _guard = guard;
        loop {
            own.sleep(ms(1)).await.unwrap();
            count.set(count.get() + 1);
        }
    });
    for _ in 0..2 {
        let before = done.get();
        let sleep = net.sleep(ms(20));
        tasks.run(sleep).unwrap().unwrap();
        assert!(done.get() > before);
    }
    drop(tasks);
    assert!(dropped.get(), "it is dropped");
    assert_eq!(net.engine_ref().pending(), 0, "and its timer cancelled");
}

#[test]
fn reads_are_a_stream_that_ends_with_the_connection() {
    let steps =
        vec![Step::Send(b"one".to_vec()), Step::Sleep(ms(20)), Step::Send(b"two".to_vec()), Step::Close];
    let server = TcpScript::start(steps).unwrap();
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    let all = tasks
        .run(async {
            let iod = net.iod();
            net.connect_tcp(*iod, server.address(), LIMIT).await.unwrap();
            let (mut all, mut reads) = (Vec::new(), net.reads(*iod, LIMIT));
            while let Some(got) = reads.next().await {
                all.extend(got.unwrap().bytes);
            }
            assert!(reads.next().await.is_none(), "and stays ended");
            all
        })
        .unwrap();
    assert_eq!(all, b"onetwo");
}

#[test]
fn accepts_are_a_stream_and_a_connection_nobody_took_is_closed() {
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    let door = net.iod();
    net.engine_mut().listen_tcp(*door, testkit::LOOPBACK_V4).unwrap();
    let address = net.engine_ref().iod_local(*door).unwrap();
    let own = net.clone();
    let _server = net.spawn(async move {
        let mut visitors = own.accepts(*door, None);
        while let Some(Ok(visitor)) = visitors.next().await {
            let visitor = own.own(visitor.iod);
            let got = own.readlines(*visitor, 1, LIMIT).await.unwrap();
            own.write(*visitor, &got.bytes, LIMIT).await.unwrap();
        }
    });
    tasks
        .run(async {
            for word in [&b"one\n"[..], b"two\n"] {
                let iod = net.iod();
                net.connect_tcp(*iod, address, LIMIT).await.unwrap();
                net.write(*iod, word, LIMIT).await.unwrap();
                let got = net.readbytes(*iod, 100, LIMIT).await.unwrap();
                assert_eq!((got.bytes.as_slice(), got.end), (word, End::Eof));
            }
        })
        .unwrap();
    drop(tasks);
    assert!(net.engine_mut().report().is_empty(), "{}", net.engine_mut().report());
}

#[test]
fn a_future_of_another_thread_wakes_the_loop() {
    #[derive(Default)]
    struct Shared {
        value: Option<u32>,
        waker: Option<Waker>,
    }
    let shared = Arc::new(Mutex::new(Shared::default()));
    let theirs = Arc::clone(&shared);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        let mut shared = theirs.lock().unwrap();
        shared.value = Some(7);
        if let Some(waker) = shared.waker.take() {
            waker.wake();
        }
    });
    // Nothing is pending on the engine: only the wake-up can end its wait.
    let value = Tasks::new()
        .unwrap()
        .run(poll_fn(|context| {
            let mut shared = shared.lock().unwrap();
            shared.waker = Some(context.waker().clone());
            shared.value.map_or(Poll::Pending, Poll::Ready)
        }))
        .unwrap();
    assert_eq!(value, 7);
    thread.join().unwrap();
}

#[test]
fn a_task_that_panics_is_gone_and_the_others_go_on() {
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    let _lost = net.spawn(async { panic!("on purpose") });
    let sleep = net.sleep(ms(1));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tasks.run(sleep)));
    assert!(panicked.is_err());
    let sleep = net.sleep(ms(1));
    assert_eq!(tasks.run(sleep).unwrap(), Ok(()));
}

#[test]
fn what_a_task_asks_for_names_the_event_that_woke_it() {
    let echo = UdpEcho::start().unwrap();
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    net.engine_mut().trace_ring(100);
    tasks
        .run(async {
            let iod = net.iod();
            net.connect_udp(*iod, echo.address()).await.unwrap();
            net.write(*iod, b"x", LIMIT).await.unwrap();
            net.read(*iod, LIMIT).await.unwrap();
        })
        .unwrap();
    let mut parents = Vec::new();
    if let Some(ring) = net.engine_ref().ring() {
        for record in ring.iter() {
            if let nsock::trace::Step::Request { .. } = record.step {
                parents.push((record.event, record.parent));
            }
        }
    }
    // The write was asked for by the connect's handler, so to speak, and the read by the write's.
    assert_eq!(parents, [(Some(8), None), (Some(19), Some(8)), (Some(26), Some(19))]);
}

#[test]
fn packets_are_a_stream() {
    if !need_root() {
        return;
    }
    let echo = UdpEcho::start().unwrap();
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    tasks
        .run(async {
            let (capture, iod) = (net.iod(), net.iod());
            net.engine_mut().pcap_open(*capture, "lo", &PcapOptions::default()).unwrap();
            net.connect_udp(*iod, echo.address()).await.unwrap();
            net.write(*iod, b"a packet to be seen", LIMIT).await.unwrap();
            let mut packets = net.packets(*capture, LIMIT);
            while let Some(packet) = packets.next().await {
                if packet.unwrap().bytes.windows(6).any(|part| part == b"packet") {
                    return;
                }
            }
            panic!("it was not seen");
        })
        .unwrap();
}

#[test]
fn any_request_can_be_awaited() {
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    net.engine_ref().waker().wake().unwrap();
    let wake = net.ask(Request::Wake, LIMIT, |output| matches!(output, Output::Alarm).then_some(()));
    let boxed: Pin<Box<dyn Future<Output = _>>> = Box::pin(wake);
    assert_eq!(tasks.run(boxed).unwrap(), Ok(()));
}

#[test]
fn a_task_that_is_always_ready_starves_nobody() {
    let mut tasks = Tasks::new().unwrap();
    let net = tasks.net();
    let polls = Rc::new(Cell::new(0_u64));
    let counted = Rc::clone(&polls);
    let _busy = net.spawn(poll_fn(move |context| {
        counted.set(counted.get() + 1);
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    let slept = tasks.run(async move { net.sleep(ms(5)).await }).unwrap();
    assert_eq!(slept, Ok(()));
    assert!(polls.get() > 1);
}
