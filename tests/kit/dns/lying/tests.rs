use super::*;

fn client(server: &LyingDns) -> UdpSocket {
    let socket = UdpSocket::bind(LOOPBACK_V4).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send_to(b"what", server.address()).unwrap();
    socket
}

fn heard(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 512];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

#[test]
fn it_speaks_in_the_order_of_time_and_with_other_voices() {
    let server = LyingDns::start(|question| {
        assert_eq!((question.bytes.as_slice(), question.transport), (b"what".as_slice(), DnsTransport::Udp));
        vec![
            Say::now("late").after(Duration::from_millis(50)),
            Say::now("own"),
            Say::now("port").by_other_port(),
            Say::now("host").by_other_host(),
        ]
    })
    .unwrap();
    let socket = client(&server);
    let said = [heard(&socket), heard(&socket), heard(&socket), heard(&socket)];
    let texts: Vec<&[u8]> = said.iter().map(|(text, _)| text.as_slice()).collect();
    assert_eq!(texts, [b"own".as_slice(), b"port", b"host", b"late"]);
    assert_eq!(said[0].1, server.address());
    assert_ne!(said[1].1.port(), server.address().port());
    assert_eq!(said[2].1, SocketAddr::new(OTHER_HOST.into(), server.address().port()));
    assert_eq!(said[3].1, server.address());
}

#[test]
fn a_connection_gets_whole_dripped_and_cut_messages() {
    let server = LyingDns::start(|question| {
        assert_eq!(question.transport, DnsTransport::Tcp);
        match question.number {
            0 => vec![Say::now(vec![7; MESSAGE_BYTES_MAX])],
            1 => vec![Say::now("drip").bytewise(Duration::from_millis(1))],
            _ => vec![Say::now("never whole").cut(5)],
        }
    })
    .unwrap();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"\0\x03one\0\x03two\0\x05three").unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert_eq!(all[..2], [0xff, 0xff]);
    assert_eq!(all[2 + MESSAGE_BYTES_MAX..], *b"\0\x04drip\0\x0bnev");
    let asked: Vec<_> = server.asked().into_iter().map(|question| question.bytes).collect();
    assert_eq!(asked, [b"one".as_slice(), b"two", b"three"]);
}

#[test]
fn without_tcp_a_connection_is_refused() {
    let server = LyingDns::start_without_tcp(|_| vec![Say::now("datagram")]).unwrap();
    assert_eq!(TcpStream::connect(server.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(heard(&client(&server)).0, b"datagram");
}
