//! Screen: where output goes, how wide it may be, and whether it may have colours.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::{Attribute, Cell, Color, ContentArrangement, LineStyle, Table, TableStyle};

use super::failure::Failure;
use super::json;

/// No output is wider than this: long lines are hard to read.
const WIDEST: u16 = 100;

const CONDENSED: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

const AIRY: TableStyle = CONDENSED.row_separator(LineStyle::none().fill(' ').junction(' '));

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Warn,
    Bad,
}

/// How to write to standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// JSON for scripts instead of text for people.
    pub(crate) json: bool,
    colour: bool,
    width: u16,
}

impl Screen {
    /// What standard output is.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = if terminal {
            Table::new().width().unwrap_or(WIDEST).clamp(60, WIDEST)
        } else {
            WIDEST
        };
        Self {
            json,
            colour: terminal && !plain,
            width,
        }
    }

    /// Without colours, 100 columns.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self {
            json: false,
            colour: false,
            width: WIDEST,
        }
    }

    /// How many columns are left when `taken` are used, at least 20.
    pub(crate) fn room(&self, taken: usize) -> usize {
        usize::from(self.width).saturating_sub(taken).max(20)
    }

    /// Writes text as it is.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(Failure::output)
    }

    /// Writes one JSON document over several lines.
    pub(crate) fn json<M: prost::Message>(&self, name: &str, message: &M) -> Result<(), Failure> {
        let value = json::value(name, message)?;
        self.print(&format!("{value:#}\n"))
    }

    /// Writes one JSON document on one line.
    pub(crate) fn json_line<M: prost::Message>(
        &self,
        name: &str,
        message: &M,
    ) -> Result<(), Failure> {
        let value = json::value(name, message)?;
        self.print(&format!("{value}\n"))
    }

    /// Text in a tone.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colour => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// A table without borders: a header, a line under it, rows.
    pub(crate) fn table(&self, header: &[&str]) -> Table {
        self.styled_table(header, CONDENSED)
    }

    /// A table whose rows take several lines each: a blank line keeps them apart.
    pub(crate) fn airy_table(&self, header: &[&str]) -> Table {
        self.styled_table(header, AIRY)
    }

    fn styled_table(&self, header: &[&str], style: TableStyle) -> Table {
        let mut table = Table::new();
        table
            .load_style(style)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.width.saturating_sub(2));
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(
            header
                .iter()
                .map(|title| self.cell(Tone::Faint, title))
                .collect::<Vec<_>>(),
        );
        table
    }

    /// A cell in a tone.
    pub(crate) fn cell(&self, tone: Tone, text: impl ToString) -> Cell {
        let cell = Cell::new(text);
        match tone {
            Tone::Plain => cell,
            Tone::Strong => cell.add_attribute(Attribute::Bold),
            Tone::Faint => cell.add_attribute(Attribute::Dim),
            Tone::Good => cell.fg(Color::DarkGreen),
            Tone::Warn => cell.fg(Color::DarkYellow),
            Tone::Bad => cell.fg(Color::DarkRed),
        }
    }

    /// A table as text, moved in by two columns (one is the cells' own), without blanks at line ends.
    pub(crate) fn lay_out(&self, table: &Table) -> String {
        indent(&table.to_string(), 1)
    }

    /// `label   value` lines, moved in by two columns, values aligned and wrapped.
    pub(crate) fn fields(&self, fields: &[(&str, String)]) -> String {
        let label_width = fields
            .iter()
            .map(|(label, _)| label.len())
            .max()
            .unwrap_or(0);
        let room = usize::from(self.width)
            .saturating_sub(label_width + 6)
            .max(20);
        let mut text = String::new();
        for (label, value) in fields {
            for (index, line) in wrap(value, room).iter().enumerate() {
                let label = if index == 0 { label } else { "" };
                let label = self.paint(Tone::Faint, &format!("{label:label_width$}"));
                text.push_str(format!("  {label}  {line}").trim_end());
                text.push('\n');
            }
        }
        text
    }

    /// Paragraph lines, moved in by `by` columns and wrapped.
    pub(crate) fn paragraph(&self, text: &str, by: usize) -> String {
        let room = usize::from(self.width).saturating_sub(by).max(20);
        indent(&wrap(text, room).join("\n"), by)
    }
}

/// Moves every line in by `by` columns; the result ends with a line end.
fn indent(text: &str, by: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = format!("{:by$}{line}", "");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Breaks text at blanks so that no line is longer than `room` characters, if words allow.
pub(crate) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_lines_short() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("extraordinarily", 5), ["extraordinarily"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn fields_line_up() {
        let text = Screen::plain().fields(&[("a", "1".to_owned()), ("long", "2".to_owned())]);
        assert_eq!(text, "  a     1\n  long  2\n");
    }
}
