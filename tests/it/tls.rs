//! TLS connections against an in-process server, and against peers that are none; `data` has what goes through them.

mod data;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nsock::trace::Level;
use nsock::{
    CertificateError, End, Failure, Fault, IodId, IodState, Misuse, Pool, TlsError, TlsKeyLog, TlsOptions,
    TlsRoots, TlsVerify, TlsVersion,
};
use rustls::version::{TLS12, TLS13};
use testkit::{
    Oracle, Step, TLS_HOST, TcpScript, TlsIdentity, TlsServer, TlsSetup, TraceEnd, UdpEcho, Validity,
};

use crate::support::{LIMIT, Saw, Seen, Transcript, connect, connect_udp, finish, got, ms, read};

/// A pool, its state, and a check of its trace against the contract.
fn pool() -> (Pool<Seen>, Seen, Oracle) {
    let oracle = Oracle::new();
    let mut pool = Pool::new().unwrap();
    pool.trace_to(Level::Full, oracle.clone());
    (pool, Seen::default(), oracle)
}

/// Makes an IOD and connects it by TLS; what came of that.
fn try_secure(pool: &mut Pool<Seen>, seen: &mut Seen, to: SocketAddr, options: TlsOptions) -> (IodId, Saw) {
    let iod = pool.iod_new();
    assert!(pool.iod_set_tls_options(iod, options));
    pool.connect_ssl(iod, to, LIMIT, Seen::connected);
    (iod, finish(pool, seen).remove(0))
}

fn secure(pool: &mut Pool<Seen>, seen: &mut Seen, to: SocketAddr, options: TlsOptions) -> IodId {
    let (iod, saw) = try_secure(pool, seen, to, options);
    assert_eq!(saw, Saw::Connected(to), "{:?}", pool.iod_tls_cause(iod));
    iod
}

fn named(name: &str) -> TlsOptions {
    let mut options = TlsOptions::default();
    options.server_name = Some(name.to_owned());
    options
}

fn verified(identity: &TlsIdentity, name: Option<&str>) -> TlsOptions {
    let mut options = TlsOptions::default();
    options.server_name = name.map(str::to_owned);
    options.verify = TlsVerify::Against(TlsRoots::from_der([identity.root()]).unwrap());
    options
}

fn speaking(version: &'static rustls::SupportedProtocolVersion) -> TlsSetup {
    let mut setup = TlsSetup::new().unwrap();
    setup.versions = vec![version];
    setup
}

/// Sends a line and takes its echo.
fn echoes(pool: &mut Pool<Seen>, seen: &mut Seen, iod: IodId) {
    pool.write(iod, b"hello\n", LIMIT, Seen::sent);
    pool.readlines(iod, 1, LIMIT, Seen::received);
    assert_eq!(finish(pool, seen), [Saw::Sent(6), got("hello\n", End::Enough)]);
}

#[test]
fn both_versions_carry_plaintext_and_tell_what_was_agreed() {
    for (version, expected) in [(&TLS12, TlsVersion::Tls12), (&TLS13, TlsVersion::Tls13)] {
        let server = TlsServer::echo(speaking(version)).unwrap();
        let (mut pool, mut seen, oracle) = pool();
        let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
        let info = pool.iod_tls(iod).unwrap();
        assert_eq!((info.version, info.resumed, info.alpn), (expected, false, None));
        assert_eq!(info.certificates, [server.identity().certificate()]);
        assert!(info.cipher.starts_with("TLS"), "{}", info.cipher);
        assert!(info.cipher_number > 0);
        echoes(&mut pool, &mut seen, iod);
        assert_eq!(pool.iod_bytes(iod), Some((6, 6)));
        assert_eq!(oracle.finish(TraceEnd::Complete), []);
    }
}

#[test]
fn the_server_is_asked_for_a_host_and_a_protocol() {
    let mut setup = TlsSetup::new().unwrap();
    setup.alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = TlsServer::start(setup, |peer| {
        peer.handshake()?;
        let name = peer.server_name().unwrap_or("nobody").to_owned();
        peer.write_all(name.as_bytes())?;
        peer.close()
    })
    .unwrap();
    let (mut pool, mut seen, _) = pool();
    let mut options = named(TLS_HOST);
    options.alpn = vec![b"http/1.1".to_vec(), b"other".to_vec()];
    let iod = secure(&mut pool, &mut seen, server.address(), options);
    assert_eq!(pool.iod_tls(iod).unwrap().alpn.as_deref(), Some(&b"http/1.1"[..]));
    pool.readbytes(iod, 100, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got(TLS_HOST, End::Eof)]);
    let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    pool.readbytes(iod, 100, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("nobody", End::Eof)]);
    let mut options = TlsOptions::default();
    options.alpn = vec![b"other".to_vec()];
    let (_, refused) = try_secure(&mut pool, &mut seen, server.address(), options);
    assert_eq!(refused, Saw::Failed(Failure::Tls(TlsError::Alert(120))));
}

#[test]
fn a_session_is_resumed_with_the_same_host_and_verification_only() {
    for version in [&TLS12, &TLS13] {
        let server = TlsServer::echo(speaking(version)).unwrap();
        let (mut pool, mut seen, _) = pool();
        let to = server.address();
        let first = secure(&mut pool, &mut seen, to, named(TLS_HOST));
        echoes(&mut pool, &mut seen, first);
        let session = pool.iod_tls_session(first).unwrap();
        let resumed = |pool: &mut Pool<Seen>, seen: &mut Seen, mut options: TlsOptions| {
            options.session = Some(session.clone());
            let iod = secure(pool, seen, to, options);
            echoes(pool, seen, iod);
            let info = pool.iod_tls(iod).unwrap();
            assert_eq!(info.certificates, [server.identity().certificate()]);
            info.resumed
        };
        assert!(resumed(&mut pool, &mut seen, named(TLS_HOST)), "{version:?}");
        assert!(resumed(&mut pool, &mut seen, named(TLS_HOST)), "{version:?}: new tickets are kept");
        assert!(!resumed(&mut pool, &mut seen, named("other.test")));
        assert!(!resumed(&mut pool, &mut seen, verified(server.identity(), Some(TLS_HOST))));
        let again = secure(&mut pool, &mut seen, to, named(TLS_HOST));
        assert!(!pool.iod_tls(again).unwrap().resumed, "nothing is resumed unless asked");
    }
}

#[test]
fn starttls_goes_on_with_tls_on_the_connection_it_has() {
    let server = TlsServer::start(TlsSetup::new().unwrap(), |peer| {
        peer.raw().write_all(b"220 ready\n")?;
        let mut line = [0; 9];
        peer.raw().read_exact(&mut line)?;
        assert_eq!(&line, b"STARTTLS\n");
        peer.raw().write_all(b"220 go\n")?;
        let mut line = [0; 6];
        peer.read_exact(&mut line)?;
        peer.write_all(&line)?;
        peer.close()
    })
    .unwrap();
    let (mut pool, mut seen, oracle) = pool();
    let transcript = Transcript::of(&mut pool, Level::Info);
    let iod = connect(&mut pool, &mut seen, server.address());
    assert_eq!(pool.iod_tls(iod), None);
    assert_eq!(read(&mut pool, &mut seen, iod), got("220 ready\n", End::Enough));
    pool.write(iod, b"STARTTLS\n", LIMIT, Seen::sent);
    pool.readlines(iod, 1, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(9), got("220 go\n", End::Enough)]);
    let secured = pool.reconnect_ssl(iod, LIMIT, Seen::connected);
    // Requests made meanwhile wait for the handshake.
    pool.write(iod, b"hello\n", LIMIT, Seen::sent);
    pool.readlines(iod, 1, LIMIT, Seen::received);
    let peer = server.address();
    let saw = finish(&mut pool, &mut seen);
    assert!(
        matches!(&saw[..], [Saw::Connected(to), Saw::Sent(6), Saw::Got { bytes, .. }] if *to == peer && bytes == b"hello\n"),
        "{saw:?}"
    );
    assert!(pool.iod_tls(iod).is_some());
    let messages = transcript.messages();
    let asked =
        format!("nsock_reconnect_ssl(): SSL reconnection requested (IOD #1) (timeout: 5000ms) EID {secured}");
    assert!(messages.contains(&asked), "{messages:?}");
    let done =
        format!("nsock_trace_handler_callback(): Callback: SSL-CONNECT SUCCESS for EID {secured} [{peer}]");
    assert!(messages.contains(&done), "{messages:?}");
    pool.reconnect_ssl(iod, LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Misuse(Misuse::AlreadySecured))]);
    assert_eq!(oracle.finish(TraceEnd::Complete), []);
}

#[test]
fn starttls_needs_an_idle_tcp_connection() {
    let server = TcpScript::start(vec![Step::Stall]).unwrap();
    let echo = UdpEcho::start().unwrap();
    let (mut pool, mut seen, _) = pool();
    let refused = |pool: &mut Pool<Seen>, seen: &mut Seen, iod, why| {
        let id = pool.reconnect_ssl(iod, LIMIT, Seen::connected);
        assert_eq!(pool.failure(id), Some(Failure::Misuse(why)));
        pool.run(seen, Some(Duration::ZERO)).unwrap();
        assert_eq!(seen.take(), [Saw::Failed(Failure::Misuse(why))]);
    };
    let idle = pool.iod_new();
    refused(&mut pool, &mut seen, idle, Misuse::NotConnected);
    let udp = connect_udp(&mut pool, &mut seen, echo.address());
    refused(&mut pool, &mut seen, udp, Misuse::NotTcp);
    let busy = connect(&mut pool, &mut seen, server.address());
    pool.read(busy, None, Seen::received);
    refused(&mut pool, &mut seen, busy, Misuse::Busy);
    pool.iod_delete(busy);
    refused(&mut pool, &mut seen, busy, Misuse::StaleIod);
}

#[test]
fn a_certificate_is_verified_where_that_is_asked_for() {
    let (mut pool, mut seen, _) = pool();
    let wrong = |why| Saw::Failed(Failure::Tls(TlsError::Certificate(why)));
    for (validity, why) in [
        (Validity::Now, None),
        (Validity::Past, Some(CertificateError::Expired)),
        (Validity::Future, Some(CertificateError::NotYetValid)),
    ] {
        let mut setup = TlsSetup::new().unwrap();
        setup.identity = TlsIdentity::new(validity).unwrap();
        let server = TlsServer::echo(setup).unwrap();
        let to = server.address();
        let expected = why.map_or(Saw::Connected(to), wrong);
        let by_name = verified(server.identity(), Some(TLS_HOST));
        assert_eq!(try_secure(&mut pool, &mut seen, to, by_name).1, expected);
        let by_address = verified(server.identity(), None);
        assert_eq!(try_secure(&mut pool, &mut seen, to, by_address).1, expected);
        let lenient = secure(&mut pool, &mut seen, to, named("wrong.test"));
        echoes(&mut pool, &mut seen, lenient);
    }
    let server = TlsServer::echo(TlsSetup::new().unwrap()).unwrap();
    let other_name = verified(server.identity(), Some("other.test"));
    assert_eq!(
        try_secure(&mut pool, &mut seen, server.address(), other_name).1,
        wrong(CertificateError::Name)
    );
    let stranger = verified(&TlsIdentity::new(Validity::Now).unwrap(), Some(TLS_HOST));
    let (iod, saw) = try_secure(&mut pool, &mut seen, server.address(), stranger);
    assert_eq!(saw, wrong(CertificateError::UnknownIssuer));
    assert!(pool.iod_tls_cause(iod).is_some());
}

#[test]
fn bug_18_a_certificate_that_is_not_accepted_has_an_error_number_and_a_reason() {
    let mut setup = TlsSetup::new().unwrap();
    setup.identity = TlsIdentity::new(Validity::Past).unwrap();
    let server = TlsServer::echo(setup).unwrap();
    let (mut pool, mut seen, _) = pool();
    let transcript = Transcript::of(&mut pool, Level::Info);
    let options = verified(server.identity(), Some(TLS_HOST));
    let (_, saw) = try_secure(&mut pool, &mut seen, server.address(), options);
    let Saw::Failed(failure) = saw else { panic!("{saw:?}") };
    assert_eq!(
        (failure.fault(), failure.to_string().as_str()),
        (Fault::Peer, "TLS: the peer's certificate has expired")
    );
    let last = transcript.messages().pop().unwrap();
    let to = server.address();
    assert_eq!(
        last,
        format!(
            "nsock_trace_handler_callback(): Callback: SSL-CONNECT ERROR [Input/output error (5)] for EID 9 [{to}]"
        )
    );
}

#[test]
fn options_that_cannot_be_are_the_callers_fault() {
    let server = TlsServer::echo(TlsSetup::new().unwrap()).unwrap();
    let (mut pool, mut seen, _) = pool();
    let mut empty = TlsOptions::default();
    empty.alpn = vec![Vec::new()];
    for options in [named("no name at all"), empty] {
        let (_, saw) = try_secure(&mut pool, &mut seen, server.address(), options);
        assert_eq!(saw, Saw::Failed(Failure::Tls(TlsError::Name)));
    }
    assert_eq!(Failure::Tls(TlsError::Name).fault(), Fault::Caller);
    assert_eq!(TlsRoots::from_der([b"nonsense"]).unwrap_err(), TlsError::Roots);
    assert_eq!(TlsRoots::from_der(Vec::<Vec<u8>>::new()).unwrap_err(), TlsError::Roots);
}

/// A ServerHello that chooses this version, and TLS_RSA_WITH_AES_128_CBC_SHA.
fn server_hello(version: [u8; 2]) -> Vec<u8> {
    let mut hello = vec![2, 0, 0, 38, version[0], version[1]];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 0x2f, 0]);
    let mut record = vec![22, version[0], version[1], 0, 42];
    record.extend_from_slice(&hello);
    record
}

#[test]
fn a_peer_of_older_versions_is_told_apart() {
    let alert = vec![21, 3, 1, 0, 2, 2, 70];
    for answer in [server_hello([3, 2]), server_hello([3, 1]), alert] {
        let server = TcpScript::start(vec![Step::Receive(100), Step::Send(answer), Step::Stall]).unwrap();
        let (mut pool, mut seen, _) = pool();
        let (_, saw) = try_secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
        assert_eq!(saw, Saw::Failed(Failure::Tls(TlsError::Version)));
    }
}

#[test]
fn garbage_is_not_tls_and_shown_in_the_classic_text() {
    let answer = b"HTTP/1.0 400 Bad Request\r\n\r\n".to_vec();
    let server = TcpScript::start(vec![Step::Receive(100), Step::Send(answer), Step::Stall]).unwrap();
    let (mut pool, mut seen, oracle) = pool();
    let transcript = Transcript::of(&mut pool, Level::Info);
    let (iod, saw) = try_secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    assert_eq!(saw, Saw::Failed(Failure::Tls(TlsError::NotTls)));
    assert_eq!(pool.report().iods[0].state, IodState::Failed);
    assert_eq!(read(&mut pool, &mut seen, iod), saw, "what comes behind ends the same way");
    let to = server.address();
    assert_eq!(
        transcript.messages()[1..4],
        [
            format!(
                "nsock_connect_ssl(): SSL connection requested to {to}/tcp (IOD #1) (timeout: 5000ms) EID 9"
            ),
            "handle_connect_result(): EID 9 TLS: what the peer sent is not TLS: is this the right port?"
                .to_owned(),
            format!(
                "nsock_trace_handler_callback(): Callback: SSL-CONNECT ERROR [Input/output error (5)] for EID 9 [{to}]"
            ),
        ]
    );
    assert_eq!(oracle.finish(TraceEnd::Complete), []);
}

#[test]
fn nmap_1488_a_handshake_that_fails_is_not_tried_again() {
    for steps in [vec![Step::Receive(100), Step::Close], vec![Step::Receive(100), Step::Reset]] {
        let server = TcpScript::start(steps.clone()).unwrap();
        let (mut pool, mut seen, _) = pool();
        let (_, saw) = try_secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
        let expected = match steps[1] {
            Step::Close => Failure::Tls(TlsError::Closed),
            _ => Failure::Io { errno: libc::ECONNRESET, during: nsock::During::Handshake },
        };
        assert_eq!(saw, Saw::Failed(expected));
        assert_eq!(expected.fault(), Fault::Peer);
        crate::support::run_for(&mut pool, &mut seen, ms(20));
        assert_eq!(server.received().len(), 1);
    }
}

#[test]
fn the_limit_covers_the_handshake() {
    let server = TcpScript::start(vec![Step::Stall]).unwrap();
    let (mut pool, mut seen, oracle) = pool();
    let iod = pool.iod_new();
    pool.connect_ssl(iod, server.address(), Some(ms(50)), Seen::connected);
    pool.write(iod, b"behind", None, Seen::sent);
    let behind = Failure::Io { errno: libc::ETIMEDOUT, during: nsock::During::Handshake };
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut), Saw::Failed(behind)]);
    assert_eq!(oracle.finish(TraceEnd::Complete), []);
}

#[test]
fn a_handshake_can_be_cancelled_and_its_iod_deleted() {
    let server = TcpScript::start(vec![Step::Receive(100), Step::Stall]).unwrap();
    let (mut pool, mut seen, oracle) = pool();
    let [cancelled, deleted] = [(); 2].map(|()| {
        let iod = pool.iod_new();
        (iod, pool.connect_ssl(iod, server.address(), LIMIT, Seen::connected))
    });
    while !pool.report().iods.iter().all(|iod| iod.state == IodState::Handshaking) {
        pool.run(&mut seen, Some(ms(1))).unwrap();
    }
    assert!(pool.event_cancel(cancelled.1));
    assert!(pool.iod_delete(deleted.0));
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Cancelled)]);
    assert_eq!(pool.report().iods[0].state, IodState::Failed);
    assert_eq!(oracle.finish(TraceEnd::Complete), []);
}

#[test]
fn secrets_are_told_when_asked_and_only_then() {
    let server = TlsServer::echo(speaking(&TLS13)).unwrap();
    let (mut pool, mut seen, _) = pool();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&lines);
    let mut options = TlsOptions::default();
    options.key_log = Some(TlsKeyLog::new(move |line| theirs.lock().unwrap().push(line.to_owned())));
    secure(&mut pool, &mut seen, server.address(), options);
    let told = lines.lock().unwrap().clone();
    let secret = told.iter().find(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")).unwrap();
    let fields: Vec<&str> = secret.split(' ').collect();
    assert_eq!(fields.len(), 3);
    assert!(
        fields[1].len() == 64
            && fields[1..].iter().all(|field| field.bytes().all(|byte| byte.is_ascii_hexdigit()))
    );
    secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    assert_eq!(lines.lock().unwrap().len(), told.len());
}
