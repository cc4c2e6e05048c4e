//! Taking requests back, and using ids that mean nothing any more.

use nsock::{EventId, Io, Until};

use super::peers::Peer;
use super::state::Model;

impl Model {
    pub(super) fn cancel(&mut self, io: &mut Io<Self>) {
        let Some(token) = self.any_request() else { return };
        let asked = self.asked.get_mut(&token).expect("just chosen");
        let (id, first) = (asked.id, !asked.cancelled);
        asked.cancelled = true;
        let (iod, write) = (asked.iod, asked.write);
        self.asking = true;
        assert_eq!(io.event_cancel(id), first, "a second cancel finds nothing to do");
        assert!(io.is_pending(id), "its notice is due");
        self.asking = false;
        if let Some((_, place)) = write {
            self.cut(iod, place);
        }
    }

    pub(super) fn forget(&mut self, io: &mut Io<Self>) {
        let Some(token) = self.any_request() else { return };
        let id = self.asked[&token].id;
        self.forget_this(io, token, id);
    }

    pub(super) fn forget_this(&mut self, io: &mut Io<Self>, token: u64, id: EventId) {
        self.ledger.silence(token);
        self.asking = true;
        assert!(io.forget(id));
        self.asking = false;
        self.dropped(&[token]);
        assert!(!io.is_pending(id) && !io.forget(id) && !io.event_cancel(id), "the id is stale");
    }

    pub(super) fn use_stale_ids(&mut self, io: &mut Io<Self>) {
        let any = self.rng.usize(..);
        if let Some(&id) = self.stale_events.get(any % self.stale_events.len().max(1)) {
            assert!(!io.event_cancel(id) && !io.forget(id) && !io.is_pending(id) && io.failure(id).is_none());
        }
        let Some(&(iod, _)) = self.stale_iods.get(any % self.stale_iods.len().max(1)) else { return };
        assert!(!io.iod_delete(iod) && io.iod_delete_idle(iod) == Ok(false));
        assert!(
            io.iod_fd(iod).is_none()
                && io.iod_peer(iod).is_none()
                && io.setup_udp(iod, testkit::LOOPBACK_V4).is_err()
        );
        match any % 5 {
            0 => self.connect_again(io, iod, Peer::TcpEcho),
            1 => self.read_until(io, iod, Until::Any, None),
            2 => self.accept(io, iod),
            3 => self.end_writes_of(io, iod),
            _ => self.write_to(io, iod),
        }
    }
}
