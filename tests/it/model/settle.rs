//! A quiet end: nothing that was received may be lost, and nothing may be left.

use std::time::Duration;

use nsock::{Io, IodId, Pool, Stop, Until};

use super::state::{Connection, Model};
use super::streams::Incoming;

/// Much longer than anything takes here: who needs it has lost something.
const PATIENCE: Duration = Duration::from_secs(20);

impl Model {
    /// Forgets all requests, reads every connection until it has all that is due, then deletes what is left.
    pub(super) fn settle(&mut self, pool: &mut Pool<Self>) {
        let mut pending: Vec<_> = self.asked.iter().map(|(token, asked)| (*token, asked.id)).collect();
        pending.sort_unstable_by_key(|(token, _)| *token);
        for (token, id) in pending {
            self.forget_this(pool, token, id);
        }
        assert_eq!(pool.pending(), 0);
        self.settling = true;
        let iods: Vec<IodId> = self.connections.iter().map(|connection| connection.iod).collect();
        for iod in &iods {
            self.settle_more(pool, *iod);
        }
        // A loop that was told to quit says so first.
        let stop = pool.run(self, Some(PATIENCE * 2)).expect("waiting works");
        let stop = if stop == Stop::Quit {
            pool.run(self, Some(PATIENCE * 2)).expect("waiting works")
        } else {
            stop
        };
        assert_eq!((stop, pool.pending()), (Stop::NoEvents, 0));
        for iod in iods {
            assert!(pool.iod_delete(iod));
        }
        let report = pool.report();
        assert!(report.is_empty(), "{report}");
    }

    /// Reads on, if the connection has not had everything.
    pub(super) fn settle_more(&mut self, io: &mut Io<Self>, iod: IodId) {
        let connection = self.connection(iod);
        let Some(Connection { incoming, peer, connected: true, over, .. }) = connection else { return };
        let missing = match incoming {
            Incoming::Echo(echo) => io.iod_bytes(iod).is_some_and(|(_, written)| echo.received < written),
            Incoming::Pattern(_) => peer.ends_in_order() && !*over,
            Incoming::Datagrams(_) => false,
        };
        if missing {
            self.read_until(io, iod, Until::Any, Some(PATIENCE));
        } else {
            self.seen.settled += 1;
        }
    }
}
