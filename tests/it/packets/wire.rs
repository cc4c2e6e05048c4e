//! A wire with a capture at one end and a packet socket at the other, and what a capture delivers.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nsock::{
    BpfInstruction, Datagram, Datagrams, Event, EventId, Failure, Filter, Io, LinkDestination, Packet,
    PcapOptions, Pool, READ_BATCH_MAX, Sent, Stop,
};
use testkit::{Lab, SCANNER_LINK, TARGET_LINK};

use crate::support::{LIMIT, ms};

/// An EtherType for experiments (IEEE 802): no kernel answers it.
pub(super) const TEST_TYPE: u16 = 0x88b5;

/// What the handlers saw.
#[derive(Debug, Default)]
pub(super) struct Caught {
    pub(super) log: Vec<(EventId, Result<Packet, Failure>)>,
    pub(super) sent: Vec<Result<Sent, Failure>>,
    pub(super) datagrams: Vec<Vec<u8>>,
    /// Packets counted, and the number of the last one.
    pub(super) count: u64,
    pub(super) last: Option<u32>,
}

impl Caught {
    pub(super) fn packet(&mut self, _: &mut Io<Self>, event: Event<Packet>) {
        self.log.push((event.id, event.outcome));
    }

    pub(super) fn sent(&mut self, _: &mut Io<Self>, event: Event<Sent>) {
        self.sent.push(event.outcome);
    }

    pub(super) fn datagrams(&mut self, io: &mut Io<Self>, event: Event<Datagrams>) {
        let Ok(datagrams) = event.outcome else { return };
        assert!(!datagrams.is_empty() && datagrams.len() <= READ_BATCH_MAX);
        self.count += 1;
        self.datagrams.extend(datagrams.iter().map(|(_, bytes)| bytes.to_vec()));
        io.read_batch(event.iod, Some(ms(300)), Self::datagrams);
    }

    /// The packets since the last call; nothing may have failed.
    pub(super) fn take(&mut self) -> Vec<Packet> {
        self.log.drain(..).map(|(_, outcome)| outcome.unwrap()).collect()
    }

    pub(super) fn only(&mut self) -> Packet {
        let mut packets = self.take();
        assert_eq!(packets.len(), 1, "{packets:?}");
        packets.remove(0)
    }
}

/// A frame from the target to the scanner that has this number in it.
pub(super) fn frame(number: u32, length: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0x64, 0x05, 0x02, 0, 0, 0, 0x64, 0x10];
    frame.extend(TEST_TYPE.to_be_bytes());
    frame.extend(number.to_be_bytes());
    let left = length.saturating_sub(frame.len());
    frame.extend((0..=u8::MAX).cycle().take(left));
    frame
}

/// Lets only frames of [`TEST_TYPE`] through.
pub(super) fn only_ours(keep: usize) -> PcapOptions {
    let mut options = PcapOptions::default();
    options.filter = Some(Filter::bpf([
        BpfInstruction { code: 0x28, jt: 0, jf: 0, k: 12 },
        BpfInstruction { code: 0x15, jt: 0, jf: 1, k: u32::from(TEST_TYPE) },
        BpfInstruction { code: 0x06, jt: 0, jf: 0, k: u32::try_from(keep).unwrap() },
        BpfInstruction { code: 0x06, jt: 0, jf: 0, k: 0 },
    ]));
    options
}

pub(super) fn options() -> PcapOptions {
    only_ours(0x40000)
}

/// Runs until nothing is pending.
pub(super) fn run(pool: &mut Pool<Caught>, caught: &mut Caught) {
    assert_eq!(pool.run(caught, LIMIT).unwrap(), Stop::NoEvents, "{}", pool.report());
}

/// Held to write by a test that floods: the kernel's queue of packets that came in is one for all namespaces, and what
/// does not fit in it is lost to whoever it was for.
static FLOOD: RwLock<()> = RwLock::new(());

/// Keeps floods away.
pub(super) fn no_flood() -> RwLockReadGuard<'static, ()> {
    FLOOD.read().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps everybody else away.
pub(super) fn flood() -> RwLockWriteGuard<'static, ()> {
    FLOOD.write().unwrap_or_else(PoisonError::into_inner)
}

/// Packets that came in to this machine and did not fit in that queue (`/proc/net/softnet_stat`).
pub(super) fn backlog_drops() -> u64 {
    let text = std::fs::read_to_string("/proc/net/softnet_stat").unwrap();
    let second = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
    text.lines().map(second).sum()
}

/// A lab, and a packet socket at its far end.
pub(super) struct Wire {
    pub(super) lab: Lab,
    far: OwnedFd,
    far_link: u32,
}

impl Wire {
    pub(super) fn new(name: &str) -> io::Result<Option<Self>> {
        let Some(lab) = Lab::new(name)? else { return Ok(None) };
        let (far, far_link) = lab.in_target(|| {
            let mut pool = Pool::<()>::new().unwrap();
            let iod = pool.iod_new();
            pool.packet_open(iod).unwrap();
            let far = pool.iod_fd(iod).unwrap().try_clone_to_owned().unwrap();
            (far, Io::<()>::interface_index(TARGET_LINK).unwrap())
        })?;
        Ok(Some(Self { lab, far, far_link }))
    }

    /// Runs `work` at the scanner's end, with a pool of its own.
    pub(super) fn capture(&self, work: impl FnOnce(&Self, &mut Pool<Caught>, &mut Caught) + Send) {
        self.lab.in_scanner(|| work(self, &mut Pool::new().unwrap(), &mut Caught::default())).unwrap();
    }

    /// Sends frames from the far end, before it returns.
    pub(super) fn send(&self, frames: &[&[u8]]) {
        let mut pool = Pool::<Caught>::new().unwrap();
        let iod = pool.iod_adopt(&self.far).unwrap();
        let to = LinkDestination::new(self.far_link, 0);
        let batch: Vec<_> = frames.iter().map(|frame| Datagram::new(to, frame)).collect();
        pool.send_batch(iod, &batch, LIMIT, Caught::sent);
        let mut caught = Caught::default();
        run(&mut pool, &mut caught);
        assert_eq!(caught.sent.remove(0).unwrap().datagrams, frames.len());
    }

    /// Sends a frame out of the near end.
    pub(super) fn send_out(&self, pool: &mut Pool<Caught>, caught: &mut Caught, frame: &[u8]) {
        let iod = pool.iod_new();
        pool.packet_open(iod).unwrap();
        let to = LinkDestination::new(Io::<()>::interface_index(SCANNER_LINK).unwrap(), TEST_TYPE);
        pool.send_batch(iod, &[Datagram::new(to, frame)], LIMIT, Caught::sent);
        run(pool, caught);
        assert_eq!(caught.sent.remove(0).unwrap().bytes, frame.len());
        pool.iod_delete(iod);
    }
}
