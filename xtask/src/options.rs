//! The book's page of options, made of the scanner's own `--help`. Pure.

use std::fmt::Write as _;

use crate::manual::{AS_IT_STANDS, Item, items, sections};

/// Where lines are wrapped.
const WIDTH: usize = 120;

/// The page, as Markdown.
pub(crate) fn page(help: &str) -> String {
    let (intro, sections) = sections(help);
    let mut page =
        "<!-- Made by `cargo run -p xtask -- manual`; change the help instead. -->\n# Every option\n\n\
        What `scanner --help` says. `man scanner` says the same, and `scanner -h` fits a screen.\n"
            .to_owned();
    for paragraph in intro.join("\n").split("\n\n").skip(1) {
        page.push('\n');
        wrap(&mut page, "", paragraph);
    }
    for section in &sections {
        let (first, rest) = section.title.split_at(1);
        let _ = writeln!(page, "\n## {first}{}\n", rest.to_ascii_lowercase());
        if AS_IT_STANDS.contains(&section.title) {
            let lines = section.lines.join("\n");
            let _ = writeln!(page, "```text\n{}\n```", lines.trim_end());
        } else if section.title == "EXIT STATUS" {
            for status in section.lines.join(" ").split(" - ") {
                wrap(&mut page, "- ", status);
            }
        } else {
            for Item { head, text } in items(section) {
                let _ = writeln!(page, "- `{head}`:");
                wrap(&mut page, "  ", &text);
            }
        }
    }
    page
}

/// Adds a text as lines, the first of which starts with `prefix`, the others below its text.
fn wrap(page: &mut String, prefix: &str, text: &str) {
    let indent = " ".repeat(prefix.len());
    let mut line = prefix.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace().map(marked) {
        if !is_empty && line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(page, "{line}");
            line.clone_from(&indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(&word);
        is_empty = false;
    }
    let _ = writeln!(page, "{line}");
}

/// A word as Markdown: as code if it is something to type or would mean something else there.
fn marked(word: &str) -> String {
    let bare = word.trim_matches(|found| "(),.:;\"".contains(found));
    let is_typed =
        bare.starts_with('-') || bare.contains(['*', '_', '<', '[', ']', '\\', '|', '@', '%', '=', '/', '#']);
    match word.split_once(bare) {
        Some((before, after)) if is_typed => format!("{before}`{bare}`{after}"),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::typed;
    use scanner::cli::help::LONG;

    #[test]
    fn every_option_of_the_help_is_on_the_page() {
        let page = page(LONG);
        for option in typed(LONG) {
            assert!(page.contains(&option.word), "{option:?}");
        }
        assert!(page.lines().all(|line| line.len() <= WIDTH), "{page}");
        assert!(!page.contains("```sh"), "nothing on it is run");
    }

    #[test]
    fn words_that_mean_something_in_markdown_are_code() {
        for (word, expected) in [
            ("(--max-rate,", "(`--max-rate`,"),
            ("192.168.*.1),", "`192.168.*.1`),"),
            ("[address]:port;", "`[address]:port`;"),
            ("hosts.", "hosts."),
            ("-", "`-`"),
        ] {
            assert_eq!(marked(word), expected);
        }
    }
}
