//! What the end of a connect through proxies means for the port: only the last proxy's word on the target is an answer.

use nsock::{Failure, ProxiedTarget, ProxyError, ProxyFailure};

use crate::verdict::{ConnectOutcome, Errno, PortState, Reason, Verdict};

/// Judges a connect that proxies did not bring about. What is wrong with a proxy is not the target's: the port is tried
/// again, and stays unknown if that does not help.
pub(super) fn judge_proxied(failure: ProxyFailure) -> ConnectOutcome {
    let answer = |state, reason| ConnectOutcome::Answer(Verdict::new(state, reason));
    match failure.target() {
        Some(ProxiedTarget::Refused) => answer(PortState::Closed, Reason::ConnRefused),
        Some(ProxiedTarget::HostUnreachable) => answer(PortState::Filtered, Reason::HostUnreach),
        Some(ProxiedTarget::NetworkUnreachable) => answer(PortState::Filtered, Reason::NetUnreach),
        Some(ProxiedTarget::TimeExceeded) => answer(PortState::Filtered, Reason::TimeExceeded),
        Some(ProxiedTarget::Silent) => ConnectOutcome::Silence,
        // Its protocol has no words to tell a refusal from a host that is not there.
        Some(_) => answer(PortState::ClosedFiltered, Reason::ProxyRefused),
        None => ConnectOutcome::LocalTrouble(errno(failure.error)),
    }
}

/// The nearest error number to what a proxy did.
fn errno(error: ProxyError) -> Errno {
    match error {
        ProxyError::Io { errno, .. } => Errno::new(errno),
        ProxyError::AuthRefused | ProxyError::AuthRequired => Errno::EACCES,
        ProxyError::TimedOut | ProxyError::NoAnswer => Errno::ETIMEDOUT,
        ProxyError::Closed => Errno::ECONNRESET,
        _ => Errno::EPROTO,
    }
}

/// The line that warns of trouble with a proxy, if that is what a failure is.
pub(super) fn warning(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Proxy(failure) if failure.target().is_none() => {
            Some(format!("WARNING: --proxies: {failure}"))
        }
        _ => None,
    }
}
