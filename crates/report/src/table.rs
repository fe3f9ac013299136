//! One model of a table for the terminal, Markdown, HTML and CSV.

use std::fmt::Write as _;

use crate::Verdict;

/// A table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) caption: String,
    /// Heading of each column, and whether it holds numbers.
    pub(crate) columns: Vec<(String, bool)>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Clone)]
pub(crate) enum Row {
    Heading(String),
    Cells(Vec<Cell>),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// A second line in small type.
    pub(crate) small: String,
    pub(crate) verdict: Option<Verdict>,
    /// Where the text leads.
    pub(crate) link: Option<String>,
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
            text: verdict.to_string(),
            verdict: Some(verdict),
            ..Self::default()
        }
    }
}

impl Table {
    /// An empty table; the headings of columns of numbers begin with `#`.
    pub(crate) fn new(caption: &str, columns: &[&str]) -> Self {
        let column = |name: &&str| {
            let number = name.strip_prefix('#');
            (number.unwrap_or(name).to_owned(), number.is_some())
        };
        Self {
            caption: caption.to_owned(),
            columns: columns.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row::Cells(cells));
    }

    fn cells(&self) -> impl Iterator<Item = &Vec<Cell>> {
        self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(cells),
            Row::Heading(_) => None,
        })
    }

    /// Columns of equal width, numbers to the right.
    pub(crate) fn terminal(&self) -> String {
        let width = |column: usize| {
            let heading = self.columns[column].0.chars().count();
            self.cells()
                .map(|cells| cells[column].text.chars().count())
                .fold(heading, usize::max)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |texts: &mut dyn Iterator<Item = &str>| {
            let padded =
                texts
                    .zip(&widths)
                    .zip(&self.columns)
                    .map(|((text, &width), (_, number))| {
                        if *number {
                            format!("{text:>width$}")
                        } else {
                            format!("{text:<width$}")
                        }
                    });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let mut text = line(&mut self.columns.iter().map(|(name, _)| name.as_str()));
        for row in &self.rows {
            text += &match row {
                Row::Heading(heading) => format!("\n{heading}\n"),
                Row::Cells(cells) => line(&mut cells.iter().map(|cell| cell.text.as_str())),
            };
        }
        text
    }

    pub(crate) fn markdown(&self) -> String {
        let line = |texts: &mut dyn Iterator<Item = String>| {
            let escaped = texts.map(|text| text.replace('|', "\\|"));
            format!("| {} |\n", escaped.collect::<Vec<_>>().join(" | "))
        };
        let mut text = line(&mut self.columns.iter().map(|(name, _)| name.clone()));
        let rule = |(_, number): &(String, bool)| if *number { "---:|" } else { "---|" };
        text += &format!("|{}\n", self.columns.iter().map(rule).collect::<String>());
        for row in &self.rows {
            text +=
                &match row {
                    Row::Heading(heading) => line(&mut std::iter::once(format!("**{heading}**"))),
                    Row::Cells(cells) => line(&mut cells.iter().map(|cell| {
                        match (&cell.link, cell.small.as_str()) {
                            (Some(link), _) => format!("[{}]({link})", cell.text),
                            (None, "") => cell.text.clone(),
                            (None, small) => format!("{} ({small})", cell.text),
                        }
                    })),
                };
        }
        text
    }

    /// RFC 4180.
    pub(crate) fn csv(&self) -> String {
        let quoted = |text: &str| {
            if text.contains([',', '"', '\n']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.to_owned()
            }
        };
        let line = |texts: &mut dyn Iterator<Item = &str>| {
            texts.map(quoted).collect::<Vec<_>>().join(",") + "\n"
        };
        let heading = line(&mut self.columns.iter().map(|(name, _)| name.as_str()));
        let rows = self
            .cells()
            .map(|cells| line(&mut cells.iter().map(|cell| cell.text.as_str())));
        heading + &rows.collect::<String>()
    }

    /// With the name of its column at every cell, for screens too narrow for columns.
    pub(crate) fn html(&self, class: &str) -> String {
        let mut html = format!(
            "<table class=\"{class}\">\n<caption>{}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n",
            escape(&self.caption),
            self.columns
                .iter()
                .map(|(name, number)| format!(
                    "<th scope=\"col\"{}>{}</th>",
                    numeric(*number),
                    escape(name)
                ))
                .collect::<String>(),
        );
        for row in &self.rows {
            // Writing to a String cannot fail.
            let _ = match row {
                Row::Heading(heading) => writeln!(
                    html,
                    "<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>",
                    self.columns.len(),
                    escape(heading)
                ),
                Row::Cells(cells) => {
                    let cells = cells
                        .iter()
                        .zip(&self.columns)
                        .map(|(cell, (name, number))| {
                            let label = attribute(name);
                            format!(
                                "<td data-label=\"{label}\"{}>{}</td>",
                                numeric(*number),
                                cell.html()
                            )
                        });
                    writeln!(html, "<tr>{}</tr>", cells.collect::<String>())
                }
            };
        }
        html + "</tbody>\n</table>\n"
    }
}

fn numeric(number: bool) -> &'static str {
    if number { " class=\"number\"" } else { "" }
}

impl Cell {
    fn html(&self) -> String {
        let text = match (self.verdict, &self.link) {
            (Some(verdict), _) => badge(verdict),
            (None, Some(link)) => {
                format!("<a href=\"{}\">{}</a>", attribute(link), escape(&self.text))
            }
            // A number and its error stay together.
            (None, None) => escape(&self.text.replace(" ± ", "\u{a0}±\u{a0}")),
        };
        if self.small.is_empty() {
            return format!("<div>{text}</div>");
        }
        format!("<div>{text}<small>{}</small></div>", escape(&self.small))
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
    let subscripts = [
        ("‖_F", "‖<sub>F</sub>"),
        ("λ_max", "λ<sub>max</sub>"),
        ("λ_min", "λ<sub>min</sub>"),
        ("θ_BN", "θ<sub>BN</sub>"),
    ];
    let set = |text: String, (plain, subscript): (&str, &str)| text.replace(plain, subscript);
    subscripts.into_iter().fold(attribute(text), set)
}
