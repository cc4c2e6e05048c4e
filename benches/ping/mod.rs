//! Ping-pong over many connections to an echo server: by nsock, and by the loop one would write without it.

#[allow(dead_code, reason = "not every bench that has this module compares with it")]
pub(crate) mod bare;
#[allow(dead_code, reason = "not every bench that has this module uses TLS")]
pub(crate) mod bare_tls;
#[allow(dead_code, reason = "not every bench that has this module connects in both ways")]
pub(crate) mod nsock;

/// Length of a ping and of its echo.
pub(crate) const PING_BYTES: usize = 64;

/// Pings that are not yet echoed. More, and the bench measures the queues of the kernel.
pub(crate) const IN_FLIGHT_MAX: usize = 256;
