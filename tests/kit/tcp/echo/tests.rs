use super::*;
use crate::{LOOPBACK_V6, exclusive, in_own_process, need_descriptors, with_descriptor_limit};
use rustix::thread::CpuSet;
use std::fs;
use std::net::Shutdown;
use std::thread;

/// A client that fails instead of hanging.
fn client(echo: &TcpEcho) -> TcpStream {
    let stream = TcpStream::connect(echo.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

#[test]
fn two_hundred_connections_each_get_their_own_bytes() {
    let echo = TcpEcho::start().unwrap();
    let mut clients: Vec<TcpStream> = (0..200).map(|_| client(&echo)).collect();
    for round in 0_u8..3 {
        for (number, stream) in (0_u8..).zip(&mut clients) {
            stream.write_all(&[number; 64]).unwrap();
            stream.write_all(&[round; 8]).unwrap();
        }
        for (number, stream) in (0_u8..).zip(&mut clients) {
            let mut back = [0; 72];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back[..64], [number; 64]);
            assert_eq!(back[64..], [round; 8]);
        }
    }
    assert_eq!(echo.accepted(), 200);
}

#[test]
fn five_thousand_connections_are_served_together() {
    const CONNECTIONS: usize = 5000;
    const DESCRIPTORS: usize = 2 * CONNECTIONS + 200;
    let all = || {
        let echo = TcpEcho::start().unwrap();
        let mut clients: Vec<TcpStream> = (0..CONNECTIONS).map(|_| client(&echo)).collect();
        for _ in 0..2 {
            for (number, stream) in clients.iter_mut().enumerate() {
                stream.write_all(&number.to_le_bytes()).unwrap();
            }
            for (number, stream) in clients.iter_mut().enumerate() {
                let mut back = [0; size_of::<usize>()];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(usize::from_le_bytes(back), number);
            }
        }
        assert_eq!(echo.accepted(), 5000);
    };
    in_own_process("tcp::echo::tests::five_thousand_connections_are_served_together", || {
        if need_descriptors(DESCRIPTORS) {
            with_descriptor_limit(&exclusive(), DESCRIPTORS, all).unwrap();
        }
    });
}

#[test]
fn more_than_the_kernel_buffers_comes_back_whole_after_a_half_close() {
    const TOTAL: usize = 24 << 20;
    let echo = TcpEcho::start().unwrap();
    let mut reader = client(&echo);
    let mut writer = reader.try_clone().unwrap();
    let sent: Vec<u8> = (0..TOTAL).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let back = thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        // Long enough for both directions to fill, so the server meets a send buffer that is full.
        thread::sleep(Duration::from_millis(100));
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        back
    });
    assert!(back == sent, "{} of {} bytes came back, or they differ", back.len(), sent.len());
}

#[test]
fn a_peer_that_floods_does_not_starve_another_nor_the_drop() {
    let echo = TcpEcho::start().unwrap();
    let mut flood = client(&echo);
    let mut sink = flood.try_clone().unwrap();
    let mut polite = client(&echo);
    thread::scope(|scope| {
        scope.spawn(move || while flood.write_all(&[7; 1 << 16]).is_ok() {});
        scope.spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while sink.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        for _ in 0..20 {
            polite.write_all(b"ping").unwrap();
            let mut back = [0; 4];
            polite.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"ping");
        }
        drop(echo);
    });
}

#[test]
fn closes_after_the_peer_closed() {
    let echo = TcpEcho::start_at(LOOPBACK_V6, None).unwrap();
    let mut stream = client(&echo);
    stream.write_all(b"bye").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"bye");
}

#[test]
fn a_pinned_server_may_run_on_that_core_only() {
    let echo = TcpEcho::start_on_core(Some(0)).unwrap();
    let mut stream = client(&echo);
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let pinned = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok).any(|task| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        status.contains("Name:\ttcp-echo\n") && status.contains("Cpus_allowed_list:\t0\n")
    });
    assert!(pinned);
}

#[test]
fn a_core_that_does_not_exist_is_an_error() {
    assert!(TcpEcho::start_on_core(Some(CpuSet::MAX_CPU - 1)).is_err());
    assert_eq!(TcpEcho::start_on_core(Some(CpuSet::MAX_CPU)).unwrap_err().kind(), ErrorKind::InvalidInput);
}
