//! Real proxy servers of the system, on loopback.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use tempfile::NamedTempFile;

use crate::{Service, need_tool};

/// Ports tried, in case another program takes one before the proxy does.
const TRIES: usize = 5;

/// A real proxy server on loopback, for as long as the value lives.
#[derive(Debug)]
pub struct ProxyServer {
    address: SocketAddr,
    _service: Service,
    _settings: Option<NamedTempFile>,
}

impl ProxyServer {
    /// Tinyproxy, which speaks HTTP; with a user and a password it lets nobody else in.
    ///
    /// `None`: skipped, loudly, as there is no `tinyproxy`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn tinyproxy(user: Option<(&str, &str)>) -> io::Result<Option<Self>> {
        let proof =
            user.map_or_else(String::new, |(name, password)| format!("BasicAuth {name} {password}\n"));
        Self::start("tinyproxy", |port| {
            let settings = settings(&format!("Listen 127.0.0.1\nPort {port}\nLogLevel Critical\n{proof}"))?;
            let mut command = Command::new("tinyproxy");
            command.arg("-d").arg("-c").arg(settings.path());
            Ok((command, Some(settings)))
        })
    }

    /// Dante, which speaks SOCKS4, 4a and 5.
    ///
    /// `None`: skipped, loudly, as there is no `danted`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn dante() -> io::Result<Option<Self>> {
        Self::start("danted", |port| {
            let settings = settings(&format!(
                "logoutput: /dev/null\ninternal: 127.0.0.1 port = {port}\nexternal: lo\nclientmethod: none\n\
                 socksmethod: none\nclient pass {{ from: 0/0 to: 0/0 }}\nsocks pass {{ from: 0/0 to: 0/0 }}\n"
            ))?;
            let mut command = Command::new("danted");
            command.arg("-f").arg(settings.path());
            Ok((command, Some(settings)))
        })
    }

    /// Microsocks, which speaks SOCKS5; with a user and a password it lets nobody else in.
    ///
    /// `None`: skipped, loudly, as there is no `microsocks`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn microsocks(user: Option<(&str, &str)>) -> io::Result<Option<Self>> {
        Self::start("microsocks", |port| {
            let mut command = Command::new("microsocks");
            command.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
            if let Some((name, password)) = user {
                command.args(["-u", name, "-P", password]);
            }
            Ok((command, None))
        })
    }

    fn start(
        tool: &str,
        prepare: impl Fn(u16) -> io::Result<(Command, Option<NamedTempFile>)>,
    ) -> io::Result<Option<Self>> {
        if !need_tool(tool) {
            return Ok(None);
        }
        let mut failure = io::Error::other("not tried");
        for _ in 0..TRIES {
            // None of them can choose a port itself.
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let (command, settings) = prepare(address.port())?;
            match Service::start_at(command, address) {
                Ok(service) => {
                    return Ok(Some(Self { address, _service: service, _settings: settings }));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn settings(text: &str) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_speaks_its_protocol_and_is_gone_with_its_value() {
        let user = Some(("joe", "s3cret"));
        for (proxy, greeting, answer) in [
            (ProxyServer::tinyproxy(user).unwrap(), &b"CONNECT a:1 HTTP/1.1\r\n\r\n"[..], &b"HTTP/1."[..]),
            (ProxyServer::dante().unwrap(), &[5, 1, 0], &[5, 0]),
            (ProxyServer::microsocks(user).unwrap(), &[5, 1, 2], &[5, 2]),
        ] {
            let Some(proxy) = proxy else { continue };
            let mut client = TcpStream::connect(proxy.address()).unwrap();
            client.write_all(greeting).unwrap();
            let mut got = vec![0; answer.len()];
            client.read_exact(&mut got).unwrap();
            assert_eq!(got, answer);
            let address = proxy.address();
            drop(proxy);
            // danted's other processes are killed with it, but nobody can wait for their end.
            let gone = (0..250).any(|_| {
                thread::sleep(Duration::from_millis(20));
                TcpStream::connect(address).is_err()
            });
            assert!(gone);
        }
    }
}
