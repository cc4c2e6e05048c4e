//! A file that is whole at every moment: whatever ends the program, what was written before can be read.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// Text with an end that the next part overwrites, where that is possible.
pub trait Document {
    /// Adds `body`, and after it the `end` that makes the whole complete.
    ///
    /// # Errors
    /// The writer's.
    fn add(&mut self, body: &[u8], end: &[u8]) -> io::Result<()>;

    /// Adds the last part.
    ///
    /// # Errors
    /// The writer's.
    fn finish(&mut self, body: &[u8]) -> io::Result<()>;
}

impl Document for Box<dyn Document> {
    fn add(&mut self, body: &[u8], end: &[u8]) -> io::Result<()> {
        (**self).add(body, end)
    }

    fn finish(&mut self, body: &[u8]) -> io::Result<()> {
        (**self).finish(body)
    }
}

/// A file that can be written over: its end is written every time.
#[derive(Debug)]
pub struct Seekable {
    file: File,
    /// Where the next part goes.
    at: u64,
    /// What stands there now.
    end: Vec<u8>,
}

impl Seekable {
    /// Starts at the end of a file.
    ///
    /// # Errors
    /// The system's, for what has no end to be found, such as a pipe.
    pub fn new(mut file: File) -> io::Result<Self> {
        let at = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, at, end: Vec::new() })
    }
}

impl Document for Seekable {
    fn add(&mut self, body: &[u8], end: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.at))?;
        // One write, so that no moment is between the part and the end behind it. What was there is never longer: an
        // end is overwritten by a part and the same end.
        if let Err(error) = self.file.write_all(&[body, end].concat()) {
            // The part took the place of the end, which has its room on a full file system still.
            self.file.seek(SeekFrom::Start(self.at))?;
            self.file.write_all(&self.end)?;
            self.file.set_len(self.at + self.end.len() as u64)?;
            return Err(error);
        }
        self.at += body.len() as u64;
        self.end = end.to_vec();
        Ok(())
    }

    fn finish(&mut self, body: &[u8]) -> io::Result<()> {
        self.add(body, b"")?;
        self.file.set_len(self.at)
    }
}

/// A writer that only goes forward: the end comes at the end.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a name for a writer, and nothing else")]
pub struct Forward<W>(pub W);

impl<W: Write> Document for Forward<W> {
    fn add(&mut self, body: &[u8], _end: &[u8]) -> io::Result<()> {
        self.0.write_all(body)?;
        self.0.flush()
    }

    fn finish(&mut self, body: &[u8]) -> io::Result<()> {
        self.add(body, b"")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_end_is_there_after_every_part_and_once_only() {
        let mut file = tempfile::tempfile().unwrap();
        let mut document = Seekable::new(file.try_clone().unwrap()).unwrap();
        let mut text = || {
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        };
        document.add(b"<a>", b"</a>").unwrap();
        assert_eq!(text(), "<a></a>");
        document.add(b"<b/>", b"</a>").unwrap();
        assert_eq!(text(), "<a><b/></a>");
        document.finish(b"</a>").unwrap();
        assert_eq!(text(), "<a><b/></a>");
    }
}
