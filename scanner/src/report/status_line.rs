//! The line at the bottom of a terminal that says how far the scan has come.

use std::io::{self, Write};

use super::{Consumer, ScanEvent, Telling};

/// Goes to the start of the line and clears it (ECMA-48: CR, EL).
const CLEAR: &str = "\r\x1b[K";

/// A report on a terminal with a line below it, which gives way to whatever else is written.
#[derive(Debug)]
pub struct StatusLine<C, W> {
    report: C,
    terminal: W,
    /// The line is there.
    shown: bool,
}

impl<C: Consumer, W: Write> StatusLine<C, W> {
    /// Adds a line on this terminal.
    pub const fn new(report: C, terminal: W) -> Self {
        Self { report, terminal, shown: false }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            // A terminal that is gone needs no clearing.
            let _ = self.terminal.write_all(CLEAR.as_bytes()).and_then(|()| self.terminal.flush());
        }
    }
}

impl<C: Consumer, W: Write> Consumer for StatusLine<C, W> {
    fn event(&mut self, event: ScanEvent<'_>) -> io::Result<()> {
        match event {
            ScanEvent::Progress(progress, Telling::Line) => {
                // So short that it does not wrap, which could not be cleared.
                let line: String = progress.line().chars().take(78).collect();
                let text = format!("{CLEAR}{line}");
                let _ = self.terminal.write_all(text.as_bytes()).and_then(|()| self.terminal.flush());
                self.shown = true;
                return Ok(());
            }
            ScanEvent::Tick | ScanEvent::Port { .. } | ScanEvent::Up(_) => {}
            _ => self.clear(),
        }
        self.report.event(event)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::progress::Progress;

    struct Silent;

    impl Consumer for Silent {
        fn event(&mut self, _: ScanEvent<'_>) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_line_gives_way_to_what_is_written_and_to_nothing_else() {
        let mut terminal = Vec::new();
        let mut report = StatusLine::new(Silent, &mut terminal);
        let progress = Progress::new("Connect Scan", Duration::ZERO);
        for event in [
            ScanEvent::Warning("nothing is there to be cleared"),
            ScanEvent::Progress(&progress, Telling::Line),
            ScanEvent::Tick,
            ScanEvent::Warning("now there is"),
            ScanEvent::Warning("and no more"),
        ] {
            report.event(event).unwrap();
        }
        let text = String::from_utf8(terminal).unwrap();
        assert_eq!(text, "\r\x1b[KConnect Scan 0.00%; 0 hosts done, 0 up; at 0 hosts\r\x1b[K");
    }
}
