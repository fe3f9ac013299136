//! One model of a table for the terminal, Markdown, HTML and CSV.

use std::borrow::Cow;

use crate::Verdict;

/// A table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    caption: String,
    /// Heading of each column, and whether it holds numbers.
    columns: Vec<(String, bool)>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
enum Row {
    Heading(String),
    Cells(Vec<Cell>),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// A second line in small type.
    pub(crate) small: String,
    pub(crate) verdict: Option<Verdict>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

impl From<Verdict> for Cell {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict: Some(verdict),
            ..verdict.to_string().into()
        }
    }
}

impl Table {
    /// An empty table; `columns` are its headings with bars between them, those of numbers begin with `#`.
    pub(crate) fn new(caption: &str, columns: &str) -> Self {
        let mut table = Self {
            caption: caption.to_owned(),
            ..Self::default()
        };
        for name in columns.split('|').filter(|name| !name.is_empty()) {
            let number = name.strip_prefix('#');
            table
                .columns
                .push((number.unwrap_or(name).to_owned(), number.is_some()));
        }
        table
    }

    /// More columns, of numbers or of text.
    pub(crate) fn add_columns(&mut self, names: impl Iterator<Item = String>, numbers: bool) {
        self.columns.extend(names.map(|name| (name, numbers)));
    }

    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
        self.rows
            .push(Row::Cells(cells.into_iter().map(Into::into).collect()));
    }

    /// A row of one text over all columns.
    pub(crate) fn push_heading(&mut self, heading: String) {
        self.rows.push(Row::Heading(heading));
    }

    fn cells(&self) -> impl Iterator<Item = &Vec<Cell>> {
        self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(cells),
            Row::Heading(_) => None,
        })
    }

    fn headings(&self) -> Vec<Cell> {
        let names = self.columns.iter().map(|(name, _)| name.clone());
        names.map(Cell::from).collect()
    }

    /// Columns of equal width, numbers to the right.
    pub(crate) fn terminal(&self) -> String {
        let headings = self.headings();
        let all = || self.cells().chain([&headings]);
        let width = |column: usize| all().map(|cells| cells[column].text.chars().count()).max();
        let widths: Vec<usize> = (0..headings.len()).filter_map(width).collect();
        let line = |cells: &[Cell]| {
            let columns = cells.iter().zip(&widths).zip(&self.columns);
            let padded = columns.map(|((Cell { text, .. }, &width), (_, number))| match number {
                true => format!("{text:>width$}"),
                false => format!("{text:<width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let rows = self.rows.iter().map(|row| match row {
            Row::Heading(heading) => format!("\n{heading}\n"),
            Row::Cells(cells) => line(cells),
        });
        line(&headings) + &rows.collect::<String>()
    }

    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[Cell]| {
            let cells = cells.iter().map(|cell| match cell.small.as_str() {
                "" => cell.text.clone(),
                small => format!("{} ({small})", cell.text),
            });
            let escaped = cells.map(|text| text.replace('|', "\\|"));
            format!("| {} |\n", escaped.collect::<Vec<_>>().join(" | "))
        };
        let rule = |(_, number): &(String, bool)| if *number { "---:|" } else { "---|" };
        let rule: String = self.columns.iter().map(rule).collect();
        let rows = self.rows.iter().map(|row| match row {
            Row::Heading(heading) => line(&[format!("**{heading}**").into()]),
            Row::Cells(cells) => line(cells),
        });
        line(&self.headings()) + &format!("|{rule}\n") + &rows.collect::<String>()
    }

    pub(crate) fn csv(&self) -> String {
        let line = |cells: &Vec<Cell>| {
            let cells = cells.iter().map(|cell| csv_cell(&cell.text));
            cells.collect::<Vec<_>>().join(",") + "\n"
        };
        [&self.headings()]
            .into_iter()
            .chain(self.cells())
            .map(line)
            .collect()
    }

    /// With the name of its column at every cell, for screens too narrow for columns.
    pub(crate) fn html(&self, class: &str) -> String {
        let numeric = |number: bool| if number { " class=\"number\"" } else { "" };
        let heading = |(name, number): &(String, bool)| {
            format!(
                "<th scope=\"col\"{}>{}</th>",
                numeric(*number),
                escape(name)
            )
        };
        let headings: String = self.columns.iter().map(heading).collect();
        let rows = self.rows.iter().map(|row| match row {
            Row::Heading(heading) => format!(
                "<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>\n",
                self.columns.len(),
                escape(heading)
            ),
            Row::Cells(cells) => {
                let cells = cells
                    .iter()
                    .zip(&self.columns)
                    .map(|(cell, (name, number))| {
                        let (label, class) = (attribute(name), numeric(*number));
                        format!("<td data-label=\"{label}\"{class}>{}</td>", cell.html())
                    });
                format!("<tr>{}</tr>\n", cells.collect::<String>())
            }
        });
        format!(
            "<table class=\"{class}\">\n<caption>{}</caption>\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{}</tbody>\n</table>\n",
            escape(&self.caption),
            rows.collect::<String>()
        )
    }
}

/// A cell of CSV (RFC 4180).
pub(crate) fn csv_cell(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

impl Cell {
    fn html(&self) -> String {
        // A number and its error stay together.
        let text = || escape(&self.text.replace(" ± ", "\u{a0}±\u{a0}"));
        let text = self.verdict.map_or_else(text, badge);
        match self.small.as_str() {
            "" => format!("<div>{text}</div>"),
            small => format!("<div>{text}<small>{}</small></div>", escape(small)),
        }
    }
}

/// A verdict as word, sign and colour.
pub(crate) fn badge(verdict: Verdict) -> String {
    let (sign, class, word) = verdict.shown();
    format!("<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign}</span> {word}</span>")
}

/// Escapes the five characters that HTML gives a meaning: for attributes, which hold no elements.
pub(crate) fn attribute(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The same for text, with the subscripts that Unicode lacks.
pub(crate) fn escape(text: &str) -> String {
    attribute(text)
        .replace("‖_F", "‖<sub>F</sub>")
        .replace("λ_max", "λ<sub>max</sub>")
        .replace("λ_min", "λ<sub>min</sub>")
        .replace("θ_BN", "θ<sub>BN</sub>")
}
