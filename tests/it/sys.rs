//! The system calls of the tests that no crate here offers safely.
#![expect(unsafe_code, reason = "signals to one thread and socket options of a raw level take raw arguments")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A loop that signals keep alive ends after these, and its test fails instead of hanging.
const SIGNALS_MAX: usize = 200;

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Calls `work` while this thread gets a `SIGALRM` every `interval`, and tells how many came.
///
/// The handler stays installed: only for a test in a process of its own.
pub(crate) fn under_signals<T>(interval: Duration, work: impl FnOnce() -> T) -> (T, usize) {
    let handler: extern "C" fn(libc::c_int) = count;
    // SAFETY: the handler only adds to an atomic, which is allowed in a signal handler.
    unsafe { libc::signal(libc::SIGALRM, handler as libc::sighandler_t) };
    // SAFETY: it takes nothing and cannot fail.
    let target = unsafe { libc::pthread_self() };
    let over = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..SIGNALS_MAX {
                thread::sleep(interval);
                if over.load(Ordering::Relaxed) {
                    break;
                }
                // SAFETY: the scope joins this thread before the target can end.
                unsafe { libc::pthread_kill(target, libc::SIGALRM) };
            }
        });
        let result = work();
        over.store(true, Ordering::Relaxed);
        result
    });
    (result, SIGNALS.load(Ordering::Relaxed))
}

/// Makes a UDP socket report what its packets met on the way, local queues included (ipv6(7), `IPV6_RECVERR`).
pub(crate) fn report_send_errors(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe one live integer, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_RECVERR,
            (&raw const on).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A tun device (kernel documentation, `networking/tuntap`), deleted when the file is closed. What is written to it
/// comes in by the device. With a link type, that is the device's from now on, whatever it means.
pub(crate) fn open_tun(name: &str, link_type: Option<u16>) -> io::Result<std::fs::File> {
    let file = std::fs::File::options().read(true).write(true).open("/dev/net/tun")?;
    // An `ifreq`: the name, then flags in a union of 24 bytes.
    let mut request = [0u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    request[16..18].copy_from_slice(&u16::try_from(flags).map_err(io::Error::other)?.to_ne_bytes());
    // SAFETY: the pointer is to a live `ifreq`, which the kernel reads and writes.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, request.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if let Some(link_type) = link_type {
        // SAFETY: this call takes a number, not a pointer.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETLINK, libc::c_ulong::from(link_type)) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(file)
}
