//! The pages in `docs`, so that a test can run what they tell people to type and compare what they show.

use std::path::Path;
use std::{fs, io};

/// Stands in the output of a script where a step has ended; no program prints it.
const STEP_END: char = '\x1e';

/// What a page has in place of what it leaves out: any lines where it is a line, any text within one.
const LEFT_OUT: &str = "...";

/// Numbers from here on are ports that the system chose, or random; pages scan lower ones.
const CHOSEN_BY_CHANCE: u64 = 32_768;

/// A page's commands, and what each should print.
///
/// Commands are the blocks marked `sh`. A block marked `text` between one and the next is its output, standard error
/// included. Compared are the lines, with `...` for what the page leaves out; times, versions, random numbers and chosen
/// ports are masked. A block without output has to succeed.
#[derive(Debug, Clone)]
pub struct Page {
    name: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    section: String,
    /// The line of the page where its commands start.
    line: usize,
    commands: String,
    shown: Option<String>,
}

impl Page {
    /// Reads the page with this file name.
    ///
    /// # Errors
    /// When there is no such page.
    pub fn read(name: &str) -> io::Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        Ok(Self::of(name, &fs::read_to_string(path)?))
    }

    fn of(name: &str, text: &str) -> Self {
        let mut page = Self { name: name.to_owned(), steps: Vec::new() };
        let (mut section, mut lines) = (String::new(), text.lines().zip(1..));
        while let Some((line, number)) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                title.clone_into(&mut section);
            }
            let Some(language) = line.strip_prefix("```") else { continue };
            let block: Vec<_> =
                lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```").collect();
            let block = block.join("\n");
            match (language, page.steps.last_mut()) {
                ("sh", _) => page.steps.push(Step {
                    section: section.clone(),
                    line: number + 1,
                    commands: block,
                    shown: None,
                }),
                ("text", Some(step)) if step.shown.is_none() && step.section == section => {
                    step.shown = Some(block);
                }
                _ => {}
            }
        }
        page
    }

    /// The page with the commands of one section only.
    #[must_use]
    pub fn section(mut self, title: &str) -> Self {
        self.steps.retain(|step| step.section == title);
        self
    }

    /// All commands as one script for `sh`, for [`check`](Self::check) to judge what it prints.
    ///
    /// Where a block starts a program in the background, the script waits until something listens, which is what
    /// people do who type; it has to run in a network of its own then.
    #[must_use]
    pub fn script(&self) -> String {
        let step = |step: &Step| {
            let serves = step.commands.lines().any(|line| line.ends_with(" &"));
            let wait = if serves { "until grep -q ' 0A ' /proc/net/tcp; do sleep 0.05; done\n" } else { "" };
            format!("{}\n{wait}printf '\\036%s\\n' \"$?\"\n", step.commands)
        };
        format!("exec 2>&1\n{}", self.steps.iter().map(step).collect::<String>())
    }

    /// Compares what the script printed with what the page shows.
    ///
    /// # Errors
    /// The first step that differs: where, what the page has, what came instead.
    pub fn check(&self, printed: &str) -> Result<(), String> {
        if self.steps.is_empty() {
            return Err(format!("docs/{}: no commands", self.name));
        }
        let mut rest = printed;
        for step in &self.steps {
            let place = format!("docs/{}:{}: {}", self.name, step.line, step.commands);
            let Some((output, after)) = rest.split_once(STEP_END) else {
                return Err(format!("{place}\nit did not end, after:\n{rest}"));
            };
            let (status, after) = after.split_once('\n').unwrap_or((after, ""));
            rest = after;
            match &step.shown {
                None if status != "0" => return Err(format!("{place}\nended with {status}:\n{output}")),
                Some(shown) if !is_as_shown(shown, output) => {
                    return Err(format!("{place}\nthe page shows:\n{shown}\n\nit printed:\n{output}"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_as_shown(shown: &str, printed: &str) -> bool {
    let lines = |text: &str| text.trim_end().lines().map(masked).collect::<Vec<_>>();
    lines_match(&lines(shown), &lines(printed))
}

fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, _) => printed.is_empty(),
        (Some((first, after)), _) if first == LEFT_OUT => {
            (0..=printed.len()).any(|skipped| lines_match(after, &printed[skipped..]))
        }
        (Some((expected, after)), Some((line, rest))) => {
            line_matches(expected, line) && lines_match(after, rest)
        }
        (Some(_), None) => false,
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let Some((first, after)) = shown.split_once(LEFT_OUT) else { return shown == printed };
    let (between, last) = after.rsplit_once(LEFT_OUT).unwrap_or(("", after));
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    for part in between.split(LEFT_OUT) {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// The line with `#` for each number that is another one in each run.
fn masked(line: &str) -> String {
    let line = line.trim_end();
    let (mut text, mut at) = (String::new(), 0);
    while let Some(found) = line[at..].find(|found: char| found.is_ascii_digit()) {
        let start = at + found;
        let length = line[start..].find(|found: char| !(found.is_ascii_digit() || found == '.'));
        let number = line[start..].get(..length.unwrap_or(line.len() - start)).unwrap_or_default();
        let number = number.trim_end_matches('.');
        let before = &line[..start];
        let time = clock(&line[start..]).unwrap_or_default();
        text.push_str(&line[at..start]);
        let of_a_word = before.ends_with(|last: char| last.is_ascii_alphabetic() || last == '_');
        if time > 0 && !of_a_word {
            text.push('#');
            at = start + time;
            continue;
        }
        at = start + number.len();
        text.push_str(if !of_a_word && varies(before, number, &line[at..]) { "#" } else { number });
    }
    text + &line[at..]
}

/// The length of a date or a time of day that the text starts with.
fn clock(text: &str) -> Option<usize> {
    ["dddd-dd-dd", "dd:dd:dd", "dd:dd"].into_iter().map(|form| (form, text.get(..form.len()))).find_map(
        |(form, start)| {
            let fits =
                |(form, found): (u8, u8)| if form == b'd' { found.is_ascii_digit() } else { form == found };
            let ends = !text[form.len().min(text.len())..].starts_with(|next: char| next.is_ascii_digit());
            (ends && form.bytes().zip(start?.bytes()).all(fits)).then_some(form.len())
        },
    )
}

fn varies(before: &str, number: &str, after: &str) -> bool {
    match number.split('.').count() {
        1 => {}
        // Times, and versions.
        2 | 3 => return true,
        _ => return false,
    }
    let is_unit = |unit: &str| {
        after.strip_prefix(unit).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
    };
    number.parse().is_ok_and(|number: u64| number >= CHOSEN_BY_CHANCE)
        || ["=", "fd ", "\"fd\":", ".rs:"].iter().any(|sign| before.ends_with(sign))
        || ["s", "ms", " times"].into_iter().any(is_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\n```sh\necho one\n```\n\nprints\n\n```text\none\n```\n\n## Else\n\n```sh\ntrue\n```\n\n```rust\nfn main() {}\n```\n";

    /// What `sh` prints for these statuses and outputs.
    fn printed(steps: &[(&str, u8)]) -> String {
        steps.iter().map(|(output, status)| format!("{output}{STEP_END}{status}\n")).collect()
    }

    #[test]
    fn commands_are_run_in_order_and_compared_with_the_text_below_them() {
        let page = Page::of("page.md", PAGE);
        assert_eq!(
            page.script(),
            "exec 2>&1\necho one\nprintf '\\036%s\\n' \"$?\"\ntrue\nprintf '\\036%s\\n' \"$?\"\n"
        );
        assert_eq!(page.check(&printed(&[("one\n", 0), ("", 0)])), Ok(()));
        let said = page.check(&printed(&[("two\n", 0), ("", 0)])).unwrap_err();
        assert!(
            said.starts_with("docs/page.md:4: echo one\n") && said.contains("it printed:\ntwo"),
            "{said}"
        );
        assert!(page.check(&printed(&[("one\n", 0), ("", 1)])).unwrap_err().contains("page.md:16: true"));
        assert!(page.check("on").unwrap_err().contains("did not end"));
        assert_eq!(page.clone().section("Else").check(&printed(&[("", 0)])), Ok(()));
        assert!(page.section("Nowhere").check("").is_err(), "a page without commands is a mistake");
    }

    #[test]
    fn what_is_left_out_may_be_anything_and_all_else_may_not() {
        for (shown, line, matches) in [
            ("a\n...\nd", "a\nb\nc\nd", true),
            ("a\n...\nd", "a\nd", true),
            ("a\n...\nd", "a\nd\ne", false),
            ("...\nd\n...", "a\nd\ne", true),
            ("grant it: .../scanner", "grant it: /usr/bin/scanner", true),
            ("grant it: .../scanner", "grant it: /usr/bin/nmap", false),
            ("a ... c ... e", "a b c d e", true),
            ("a ... c ... e", "a b d e", false),
            ("a", "a\nb", false),
            ("a\nb", "a", false),
        ] {
            assert_eq!(is_as_shown(shown, line), matches, "{shown:?} for {line:?}");
        }
    }

    #[test]
    fn only_what_differs_between_runs_is_masked() {
        for (line, expected) in [
            ("scanner 0.1.0 at 2026-11-27 05:58 UTC", "scanner # at # # UTC"),
            ("at 05:58:32, 0.00s elapsed", "at #, #s elapsed"),
            (
                "CONN (0.0227s) TCP localhost > 127.0.0.1:33 => x",
                "CONN (#s) TCP localhost > 127.0.0.1:33 => x",
            ),
            ("127.0.0.1:36316 > 127.0.0.1:22 S ttl=39", "127.0.0.1:# > 127.0.0.1:22 S ttl=#"),
            ("8000/tcp open, 22,80-90 of 100 ports.", "8000/tcp open, 22,80-90 of 100 ports."),
            (
                "nsock_iod_new2 (IOD #5) EID 520 (timeout: 1000ms)",
                "nsock_iod_new2 (IOD #5) EID 520 (timeout: #ms)",
            ),
            ("IOD #2 fd 11 at examples/lifecycle.rs:58", "IOD #2 fd # at examples/lifecycle.rs:#"),
            ("ENETUNREACH 44 times; 1 port", "ENETUNREACH # times; 1 port"),
            ("for 0s, 3 seconds", "for #s, 3 seconds"),
            ("127.0.0.1:22:33", "127.0.0.1:#"),
        ] {
            assert_eq!(masked(line), expected);
        }
    }
}
