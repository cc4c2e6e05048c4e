//! What can be done with the journal of a run (`-oJ`): turned into any other form, put together with others, compared,
//! asked why a port has its state, and gone on with.
//!
//! Reading is pure: [`Record::read`] takes the bytes of a file, whole or cut off anywhere, and [`Record::replay`] makes
//! of them the events that the reports take from a scan.

mod command;
mod diff;
mod explain;
mod line;
mod nmap_xml;
mod record;
#[cfg(test)]
mod tests;

pub use command::{Failed, Words, is_command, run};
pub use diff::{Difference, Observed, difference};
pub use explain::{Question, explain};
pub use line::{Fault, Found, Line, StartLine};
pub use nmap_xml::{NotNmapXml, read_xml};
pub use record::{Merged, NotAJournal, Partial, Record, banner_time, file_time, merge};
