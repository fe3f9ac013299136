//! Tables that scroll inside a container of their own, so that a page stays as wide as the screen.

use super::escape::escape;

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Start,
    /// Numbers.
    End,
}

/// A cell: text to be escaped, or finished HTML.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Text(String),
    Html(String),
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// A row of cells, or a heading for the rows below it.
#[derive(Debug, Clone)]
pub(super) enum Row {
    Cells(Vec<Cell>),
    Heading(String),
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Self {
        Self::Cells(cells)
    }
}

/// A table with a caption for those who cannot see where it stands.
pub(super) fn table<R: Into<Row>>(
    caption: &str,
    columns: &[(&str, Align)],
    rows: impl IntoIterator<Item = R>,
) -> String {
    let class = |align: Align| {
        if align == Align::End {
            " class=\"number\""
        } else {
            ""
        }
    };
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table>\n<caption>{caption}</caption>\n<thead><tr>",
        caption = escape(caption)
    );
    for (name, align) in columns {
        html += &format!("<th scope=\"col\"{}>{}</th>", class(*align), escape(name));
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let cells = match row.into() {
            Row::Cells(cells) => cells,
            Row::Heading(text) => {
                let span = columns.len();
                html += &format!(
                    "<tr><th scope=\"rowgroup\" colspan=\"{span}\">{}</th></tr>\n",
                    escape(&text)
                );
                continue;
            }
        };
        html += "<tr>";
        for (cell, (_, align)) in cells.into_iter().zip(columns) {
            let content = match cell {
                Cell::Text(text) => escape(&text),
                Cell::Html(html) => html,
            };
            html += &format!("<td{}>{content}</td>", class(*align));
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}
