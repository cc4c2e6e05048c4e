use super::*;
use std::time::Instant;

const LIMIT: Duration = Duration::from_secs(20);

/// A server with this script, and a client of it that fails instead of hanging.
fn scene(steps: Vec<Step>) -> (TcpScript, TcpStream) {
    let server = TcpScript::start(steps).unwrap();
    let client = TcpStream::connect(server.address()).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.set_write_timeout(Some(LIMIT)).unwrap();
    (server, client)
}

#[expect(clippy::disallowed_methods, reason = "measures the script's pauses")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_reset_is_seen_as_econnreset() {
    let (_server, mut client) = scene(vec![Step::Reset]);
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_close_with_bytes_unread_by_the_script_is_an_end_of_stream_and_no_reset() {
    let (server, mut client) = scene(vec![Step::Receive(1), Step::Close, Step::Reset]);
    client.write_all(&[9; 5000]).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert!(server.wait_finished(1, LIMIT));
    assert_eq!(server.received(), [vec![9; 5000]]);
}

#[test]
fn lines_and_counts_are_taken_from_one_stream_in_order() {
    let (server, mut client) = scene(vec![
        Step::Send(b"hello\r\n".to_vec()),
        Step::ReceiveLine,
        Step::Send(b"1".to_vec()),
        Step::Receive(3),
        Step::Send(b"2".to_vec()),
        Step::ReceiveLine,
        Step::Send(b"3".to_vec()),
    ]);
    client.write_all(b"user x\nabcrest").unwrap();
    let mut answers = [0; 9];
    client.read_exact(&mut answers).unwrap();
    assert_eq!(&answers, b"hello\r\n12");
    client.write_all(b"\n").unwrap();
    let mut last = Vec::new();
    client.read_to_end(&mut last).unwrap();
    assert_eq!(last, b"3");
    assert!(server.wait_finished(1, LIMIT));
    assert_eq!(server.received(), [b"user x\nabcrest\n".to_vec()]);
}

#[test]
fn after_a_half_close_the_script_still_receives() {
    let (server, mut client) = scene(vec![Step::Send(b"x".to_vec()), Step::HalfClose, Step::ReceiveToEnd]);
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"x");
    assert!(!server.wait_finished(1, Duration::from_millis(20)), "still waits for the client's end");
    client.write_all(b"late").unwrap();
    drop(client);
    assert!(server.wait_finished(1, LIMIT));
    assert_eq!(server.received(), [b"late".to_vec()]);
}

#[test]
fn a_dribble_comes_byte_by_byte_with_its_pauses() {
    let every = Duration::from_millis(20);
    let (_server, mut client) = scene(vec![Step::Dribble { bytes: b"abcd".to_vec(), every }]);
    let begin = now();
    let mut reads = Vec::new();
    loop {
        let mut buffer = [0; 16];
        let count = client.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        reads.push(buffer[..count].to_vec());
    }
    assert_eq!(reads.concat(), b"abcd");
    assert!(reads.len() > 1, "came in one piece");
    // The first byte may have left before the clock was read.
    assert!(begin.elapsed() >= every * 2);
}

#[test]
fn a_sleep_delays_the_next_step() {
    let pause = Duration::from_millis(60);
    let server = TcpScript::start(vec![Step::Sleep(pause), Step::Send(b"x".to_vec())]).unwrap();
    let begin = now();
    let mut client = TcpStream::connect(server.address()).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.read_exact(&mut [0]).unwrap();
    assert!(begin.elapsed() >= pause);
}

#[test]
fn a_stalled_peer_takes_no_more_than_the_kernel_holds() {
    let (_server, mut client) = scene(vec![Step::Stall]);
    client.set_nonblocking(true).unwrap();
    let chunk = vec![0; 1 << 20];
    let full = (0..1024).find_map(|_| client.write(&chunk).err());
    assert_eq!(full.unwrap().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_stall_ends_when_the_peer_closes() {
    let (server, client) = scene(vec![Step::Stall]);
    assert!(!server.wait_finished(1, Duration::from_millis(20)));
    drop(client);
    assert!(server.wait_finished(1, LIMIT));
}

#[test]
fn the_drop_waits_for_no_step() {
    let slow = Duration::from_secs(600);
    for step in [
        Step::Stall,
        Step::Sleep(slow),
        Step::Receive(10),
        Step::ReceiveLine,
        Step::ReceiveToEnd,
        Step::Send(vec![0; 64 << 20]),
        Step::Dribble { bytes: vec![0; 9], every: slow },
    ] {
        let (server, _client) = scene(vec![Step::Send(b"!".to_vec()), step]);
        (&_client).read_exact(&mut [0]).unwrap();
        let begin = now();
        drop(server);
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn connections_are_recorded_apart_in_order_of_acceptance() {
    let (server, mut first) = scene(vec![Step::ReceiveToEnd]);
    let mut second = TcpStream::connect(server.address()).unwrap();
    second.write_all(b"two").unwrap();
    drop(second);
    assert!(server.wait_finished(1, LIMIT));
    first.write_all(b"one").unwrap();
    drop(first);
    assert!(server.wait_finished(2, LIMIT));
    assert_eq!(server.received(), [b"one".to_vec(), b"two".to_vec()]);
}
