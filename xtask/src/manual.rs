//! The manual page and the completions of shells, made of the scanner's own `--help`. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// From this column on stands what an option does.
const TEXT_COLUMN: usize = 22;

/// Sections that are shown as they stand: their lines are tables of their own.
pub(crate) const AS_IT_STANDS: [&str; 3] = ["JOURNALS", "KEYS, WHILE A SCAN RUNS ON A TERMINAL", "EXAMPLES"];

/// A part of the help.
pub(crate) struct Section<'a> {
    pub(crate) title: &'a str,
    pub(crate) lines: Vec<&'a str>,
}

/// An option, or options, and what they do.
pub(crate) struct Item {
    pub(crate) head: String,
    pub(crate) text: String,
}

/// The first lines, and the sections.
pub(crate) fn sections(help: &str) -> (Vec<&str>, Vec<Section<'_>>) {
    let (mut intro, mut sections) = (Vec::new(), Vec::<Section<'_>>::new());
    for line in help.lines() {
        let is_title = line.starts_with(|first: char| first.is_ascii_uppercase())
            && line.chars().all(|found| found.is_ascii_uppercase() || " ,".contains(found));
        match sections.last_mut() {
            _ if is_title => sections.push(Section { title: line, lines: Vec::new() }),
            Some(section) => section.lines.push(line),
            None => intro.push(line),
        }
    }
    (intro, sections)
}

pub(crate) fn items(section: &Section<'_>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for line in section.lines.iter().filter(|line| !line.is_empty()) {
        let is_continued = line.chars().take_while(|&found| found == ' ').count() >= TEXT_COLUMN;
        if let (true, Some(item)) = (is_continued, items.last_mut()) {
            let space = if item.text.is_empty() { "" } else { " " };
            let _ = write!(item.text, "{space}{}", line.trim());
        } else {
            let (head, text) = line.trim().split_once("  ").unwrap_or_else(|| (line.trim(), ""));
            items.push(Item { head: head.to_owned(), text: text.trim().to_owned() });
        }
    }
    items
}

/// Makes a line safe for troff: dashes that are typed, no control lines.
fn troff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// The manual page, scanner(1).
pub(crate) fn page(help: &str, version: &str) -> String {
    let (intro, sections) = sections(help);
    let mut page = format!(
        ".\\\" Made by `cargo run -p xtask -- manual`; change the help instead.\n\
         .TH SCANNER 1 \"\" \"scanner {version}\" \"User Commands\"\n.SH NAME\nscanner \\- find hosts and their open ports\n\
         .SH SYNOPSIS\n.B scanner\n[options] target...\n.SH DESCRIPTION\n"
    );
    for line in intro.iter().skip(1) {
        let _ = writeln!(page, "{}", if line.is_empty() { ".PP".to_owned() } else { troff(line) });
    }
    for section in &sections {
        let _ = writeln!(page, ".SH {}", section.title);
        if AS_IT_STANDS.contains(&section.title) || section.title == "EXIT STATUS" {
            page.push_str(".nf\n");
            for line in &section.lines {
                let _ = writeln!(page, "{}", troff(line.trim()));
            }
            page.push_str(".fi\n");
            continue;
        }
        for item in items(section) {
            let _ = writeln!(page, ".TP\n.B {}\n{}", troff(&item.head), troff(&item.text));
        }
    }
    page.push_str(".SH SEE ALSO\n.BR nmap (1),\n.BR tcpdump (8),\n.BR capabilities (7)\n");
    page
}

/// An option as it is typed, and what a shell has to know of it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Typed {
    pub(crate) word: String,
    /// What stands for its value, if it has one of its own word.
    value: Option<String>,
    text: String,
}

impl Typed {
    fn takes_file(&self) -> bool {
        self.value.as_deref().is_some_and(|value| matches!(value, "FILE" | "BASE"))
    }
}

/// Every option of the help. Letters and digits behind a dash belong to it; `[`, `=` and dots do not.
pub(crate) fn typed(help: &str) -> Vec<Typed> {
    let (_, sections) = sections(help);
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for section in sections.iter().filter(|section| !AS_IT_STANDS.contains(&section.title)) {
        for Item { head, text } in items(section) {
            // Some texts have another name of the option: `-g PORT  Come from this port (--source-port).`
            let words: Vec<&str> = head.split(' ').chain(text.split(' ')).collect();
            let in_head = head.split(' ').count();
            for (at, word) in words.iter().enumerate() {
                let is_option =
                    word.starts_with('-') && word.len() > 1 && (at < in_head || word.starts_with("--"));
                let end = word
                    .find(|found: char| !(found.is_ascii_alphanumeric() || found == '-'))
                    .unwrap_or(word.len());
                let name = word[..end].trim_end_matches('-');
                if !is_option || name.len() < 2 || !seen.insert(name.to_owned()) {
                    continue;
                }
                let next = words.get(at + 1).map(|next| next.trim_end_matches([',', ':', ';', '.', ')']));
                let is_value = |next: &&str| {
                    at + 1 != in_head
                        && next.starts_with(|first: char| first.is_ascii_uppercase())
                        && next.chars().all(|found| found.is_ascii_uppercase() || ",./".contains(found))
                };
                let value = next.filter(is_value).map(str::to_owned);
                all.push(Typed { word: name.to_owned(), value, text: text.clone() });
            }
        }
    }
    all.sort();
    all
}

/// The first sentence of a text.
fn summary(text: &str) -> &str {
    text.split(". ").next().unwrap_or(text).trim_end_matches('.')
}

/// Completions for bash.
pub(crate) fn bash(help: &str) -> String {
    let typed = typed(help);
    let words = |pick: &dyn Fn(&&Typed) -> bool, between: &str| {
        typed.iter().filter(|one| pick(one)).map(|one| one.word.as_str()).collect::<Vec<_>>().join(between)
    };
    format!(
        "# Made by `cargo run -p xtask -- manual`; change the help instead.\n_scanner() {{\n    \
         local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}\n    \
         case $before in\n        {}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n        \
         {}) COMPREPLY=(); return ;;\n    esac\n    case $word in\n        \
         -*) COMPREPLY=($(compgen -W \"{}\" -- \"$word\")) ;;\n        \
         *) COMPREPLY=($(compgen -W \"convert merge diff explain\" -A hostname -- \"$word\")) ;;\n    esac\n}}\n\
         complete -o bashdefault -F _scanner scanner\n",
        words(&|one| one.takes_file(), "|"),
        words(&|one| one.value.is_some() && !one.takes_file(), "|"),
        words(&|_| true, " "),
    )
}

/// Completions for zsh.
pub(crate) fn zsh(help: &str) -> String {
    let mut text =
        "#compdef scanner\n# Made by `cargo run -p xtask -- manual`; change the help instead.\n_arguments"
            .to_owned();
    for one in typed(help) {
        let said: String = summary(&one.text).chars().filter(|found| !"[]'\\:".contains(*found)).collect();
        let value = match &one.value {
            Some(_) if one.takes_file() => ":file:_files".to_owned(),
            Some(value) => format!(":{value}: "),
            None => String::new(),
        };
        let _ = write!(text, " \\\n  '{}[{said}]{value}'", one.word);
    }
    text.push_str(" \\\n  '*:target:_hosts'\n");
    text
}

/// Completions for fish.
pub(crate) fn fish(help: &str) -> String {
    let mut text =
        "# Made by `cargo run -p xtask -- manual`; change the help instead.\ncomplete -c scanner -f\n"
            .to_owned();
    for one in typed(help) {
        let (kind, name) = match one.word.strip_prefix("--") {
            Some(name) => ("-l", name),
            None if one.word.len() == 2 => ("-s", &one.word[1..]),
            None => ("-o", &one.word[1..]),
        };
        let value = match &one.value {
            Some(_) if one.takes_file() => " -r -F",
            Some(_) => " -x",
            None => "",
        };
        let said = summary(&one.text).replace('\\', "").replace('\'', "\\'");
        let _ = writeln!(text, "complete -c scanner {kind} {name}{value} -d '{said}'");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use scanner::cli::help::LONG;

    #[test]
    fn the_committed_files_are_those_of_the_help() {
        for (name, text) in crate::assets() {
            let committed = std::fs::read_to_string(format!("{}/{name}", crate::ROOT)).unwrap_or_default();
            assert!(committed == text, "{name}: run `cargo run -p xtask -- manual`");
        }
    }

    #[test]
    fn options_are_found_in_heads_and_texts_with_their_values() {
        let all = typed(LONG);
        let value = |word: &str| {
            let found = all.iter().find(|one| one.word == word).unwrap_or_else(|| panic!("{word}: {all:#?}"));
            found.value.clone()
        };
        for word in ["-sS", "-Pn", "-PS", "-F", "-v", "--open", "--packet-trace", "--defeat-rst-ratelimit"] {
            assert_eq!(value(word), None, "{word}");
        }
        for (word, expected) in
            [("-oN", "FILE"), ("--max-rate", "N"), ("--host-timeout", "T"), ("-oA", "BASE"), ("-p", "LIST")]
        {
            assert_eq!(value(word).as_deref(), Some(expected), "{word}");
        }
        assert!(all.len() > 80, "{}", all.len());
    }

    #[test]
    fn no_line_of_the_page_is_taken_for_a_request() {
        let page = page(LONG, "1");
        for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
            let known = [".\\\"", ".TH", ".SH", ".TP", ".B", ".BR", ".PP", ".nf", ".fi"];
            assert!(known.iter().any(|request| line.starts_with(request)), "{line}");
        }
        assert!(page.contains("\\-\\-packet\\-trace") && page.contains(".SH EXIT STATUS"));
    }
}
