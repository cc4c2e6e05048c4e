//! The colors of states, for a report on a terminal.

use std::fmt;

use anstyle::{AnsiColor, Effects, Style};

use crate::verdict::PortState;

/// Whether a report has colors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Palette {
    /// It has none.
    #[default]
    Plain,
    /// States are told apart by color, and titles stand out.
    Colored,
}

impl Palette {
    /// A state's word, or what it is part of, in the color of the state.
    pub(super) const fn state(self, state: PortState, text: &str) -> Painted<'_> {
        self.paint(text, style_of(state))
    }

    /// The line that begins a part.
    pub(super) const fn title(self, text: &str) -> Painted<'_> {
        self.paint(text, Style::new().effects(Effects::BOLD))
    }

    const fn paint(self, text: &str, style: Style) -> Painted<'_> {
        match self {
            Self::Plain => Painted { text, style: Style::new() },
            Self::Colored => Painted { text, style },
        }
    }
}

/// Of the sixteen colors that every terminal has, and its user may have chosen.
const fn style_of(state: PortState) -> Style {
    let color = match state {
        PortState::Open => return AnsiColor::Green.on_default().effects(Effects::BOLD),
        PortState::Closed => AnsiColor::Red,
        PortState::Filtered | PortState::OpenFiltered | PortState::ClosedFiltered => AnsiColor::Yellow,
        PortState::Unfiltered => AnsiColor::Cyan,
        _ => AnsiColor::Magenta,
    };
    color.on_default()
}

/// A text with its style; nothing is added to it where the style is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Painted<'a> {
    text: &'a str,
    style: Style,
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{0}{1}{0:#}", self.style, self.text)
    }
}
