//! TLS against OpenSSL's own server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use nsock::{End, Failure, Pool, TlsError, TlsOptions, TlsRoots, TlsVerify, TlsVersion};
use testkit::{TLS_HOST, TlsIdentity, Validity, need_tool};

use crate::support::{LIMIT, Saw, Seen, finish, got};

/// `openssl s_server`, ended with the test.
struct Server {
    child: Child,
    address: SocketAddr,
    output: BufReader<std::process::ChildStdout>,
    identity: TlsIdentity,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let identity = TlsIdentity::new(Validity::Now).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("server.pem");
        std::fs::write(&pem, identity.pem()).unwrap();
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "2", "-cert"])
            .arg(&pem)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "openssl s_server did not start");
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address.trim().parse().unwrap();
            }
        };
        Self { child, address, output, identity, _folder: folder }
    }

    fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Ends it; the rest of what it wrote.
    fn end(mut self) -> String {
        let _ = self.child.kill();
        self.child.wait().unwrap();
        let mut rest = Vec::new();
        self.output.read_to_end(&mut rest).unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn attempt(server: &Server, options: TlsOptions) -> (Pool<Seen>, Seen, nsock::IodId, Saw) {
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    pool.iod_set_tls_options(iod, options);
    pool.connect_ssl(iod, server.address, LIMIT, Seen::connected);
    let saw = finish(&mut pool, &mut seen).remove(0);
    (pool, seen, iod, saw)
}

#[test]
fn openssl_is_spoken_to_in_both_versions_and_resumed() {
    if !need_tool("openssl") {
        return;
    }
    for (argument, version) in [("-tls1_2", TlsVersion::Tls12), ("-tls1_3", TlsVersion::Tls13)] {
        let mut server = Server::start(&[argument, "-alpn", "imap"]);
        let mut options = TlsOptions::default();
        options.server_name = Some(TLS_HOST.to_owned());
        options.alpn = vec![b"imap".to_vec()];
        options.verify = TlsVerify::Against(TlsRoots::from_der([server.identity.root()]).unwrap());
        let (mut pool, mut seen, iod, saw) = attempt(&server, options.clone());
        assert_eq!(saw, Saw::Connected(server.address), "{:?}", pool.iod_tls_cause(iod));
        let info = pool.iod_tls(iod).unwrap();
        assert_eq!((info.version, info.resumed), (version, false));
        assert_eq!(info.alpn.as_deref(), Some(&b"imap"[..]));
        server.say("from openssl\n");
        pool.readlines(iod, 1, LIMIT, Seen::received);
        assert_eq!(finish(&mut pool, &mut seen), [got("from openssl\n", End::Enough)]);
        options.session = pool.iod_tls_session(iod);
        pool.iod_delete(iod);
        let (pool, _, iod, saw) = attempt(&server, options);
        assert_eq!(saw, Saw::Connected(server.address));
        assert!(pool.iod_tls(iod).unwrap().resumed, "{argument}");
    }
}

#[test]
fn openssl_with_older_versions_only_is_told_apart() {
    if !need_tool("openssl") {
        return;
    }
    let server = Server::start(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    let (.., saw) = attempt(&server, TlsOptions::default());
    assert_eq!(saw, Saw::Failed(Failure::Tls(TlsError::Version)));
}

#[test]
fn renegotiation_is_refused() {
    if !need_tool("openssl") {
        return;
    }
    let mut server = Server::start(&["-tls1_2"]);
    let (mut pool, mut seen, iod, saw) = attempt(&server, TlsOptions::default());
    assert_eq!(saw, Saw::Connected(server.address));
    let cipher = pool.iod_tls(iod).unwrap().cipher_number;
    server.say("before\n");
    pool.readlines(iod, 1, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("before\n", End::Enough)]);
    // A line that begins with r makes openssl ask for another handshake.
    server.say("r\n");
    pool.read(iod, LIMIT, Seen::received);
    let saw = finish(&mut pool, &mut seen);
    assert!(matches!(saw[..], [Saw::Failed(Failure::Eof | Failure::Tls(TlsError::Alert(_)))]), "{saw:?}");
    assert_eq!(pool.iod_tls(iod).unwrap().cipher_number, cipher);
    let written = server.end();
    assert_eq!(written.matches("CIPHER is").count(), 1, "a second handshake was made:\n{written}");
}
