//! One file per command.

pub(crate) mod compare;
pub(crate) mod data;
pub(crate) mod manual;
pub(crate) mod measure;
pub(crate) mod models;
pub(crate) mod product;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod train;

/// Rows of cells as lines with columns of one width, of which the first is flush left, the others flush right.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let cells = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let lengths = rows
            .iter()
            .filter_map(|row| Some(row.get(column)?.chars().count()));
        lengths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..cells).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let padded = cells.map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        });
        padded.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// The same as one text.
fn table(rows: &[Vec<String>]) -> String {
    aligned(rows).join("\n")
}
