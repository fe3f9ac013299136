//! Plots of a measurement and their data, SVG, PNG and CSV files, and its diagonals, in one directory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::Tensor;
use flatness_engine::{Found, NamedDiagonal};
use flatness_records::{MatrixRecord, What, write_atomic};
use flatness_report::{
    Curve, Landscape, LossLine, density_svg, landscape_svg, loss_line_svg, png, signed_density_svg,
    stems_svg,
};

/// Files of one measurement.
struct Pictures<'a> {
    directory: &'a Path,
    written: Vec<String>,
}

/// Whether something is written of it.
pub(super) fn has_file(what: &What) -> bool {
    matches!(what, What::Density | What::Diagonal(_) | What::Landscape)
}

/// Makes the directory `out`, and refuses one that takes no file.
pub(super) fn make(out: &Path) -> Result<()> {
    let cannot = || format!("--out: cannot write to the directory {}", out.display());
    fs::create_dir_all(out).with_context(cannot)?;
    let probe = out.join(format!(".flatness-{}", std::process::id()));
    write_atomic(&probe, &[]).with_context(cannot)?;
    fs::remove_file(&probe).with_context(cannot)
}

/// Writes what was found into `out`; the names of the files.
pub(super) fn draw(found: &Found, title: &str, out: &Path) -> Result<Vec<String>> {
    let mut pictures = Pictures {
        directory: out,
        written: Vec::new(),
    };
    let several = found.measured.matrices.len() > 1;
    for matrix in &found.measured.matrices {
        let place = place(matrix.matrix.name(), matrix.group.as_deref(), several);
        pictures.matrix(matrix, title, &place)?;
    }
    for diagonal in &found.diagonals {
        let place = place(diagonal.matrix.name(), diagonal.group.as_deref(), several);
        pictures.diagonal(diagonal, &place)?;
    }
    if let Some(line) = &found.line {
        let shown = LossLine {
            direction: "top eigenvector",
            steps: &line.steps,
            losses: &line.losses,
            quadratic: &line.quadratic,
        };
        let svg = loss_line_svg(title, &shown)?;
        let columns = [&line.steps, &line.losses, &line.quadratic];
        pictures.keep("line", &svg, "step_over_norm,loss,quadratic", &columns)?;
    }
    if let Some(plane) = &found.plane {
        let landscape = Landscape {
            x_direction: "top eigenvector",
            y_direction: "second eigenvector",
            x: &plane.first,
            y: &plane.second,
            losses: &plane.losses,
        };
        let second = plane.second.iter();
        let points = second.flat_map(|&b| plane.first.iter().map(move |&a| (a, b)));
        let (first, second): (Vec<f64>, Vec<f64>) = points.unzip();
        let columns = [&first, &second, &plane.losses];
        let heading = "first_over_norm,second_over_norm,loss";
        let svg = landscape_svg(title, &landscape)?;
        pictures.keep("landscape", &svg, heading, &columns)?;
    }
    Ok(pictures.written)
}

/// Directory of a matrix or a group among several, with a slash behind it.
fn place(matrix: &str, group: Option<&str>, several: bool) -> String {
    match group {
        Some(group) => format!("{matrix}/{}/", group.replace('*', "all")),
        None if several => format!("{matrix}/"),
        None => String::new(),
    }
}

impl Pictures<'_> {
    fn matrix(&mut self, record: &MatrixRecord, title: &str, place: &str) -> Result<()> {
        let group = record.group.as_ref();
        let group = group.map_or_else(String::new, |group| format!(", {group}"));
        let name = &format!("{title}, {}{group}", record.matrix.name());
        if let Some(of) = &record.density {
            let columns = [&of.grid, &of.density, &of.standard_error];
            let svg = density_svg(name, &curve(columns))?;
            let heading = "eigenvalue,density,standard_error";
            self.keep(&format!("{place}density"), &svg, heading, &columns)?;
        }
        if let Some(of) = &record.log_density {
            let above = [&of.magnitude, &of.positive, &of.positive_error];
            let below = [&of.magnitude, &of.negative, &of.negative_error];
            let svg = signed_density_svg(name, &curve(above), &curve(below), of.unresolved.value)?;
            let heading =
                "magnitude,positive,positive_standard_error,negative,negative_standard_error";
            let columns = [&above[..], &below[1..]].concat();
            self.keep(&format!("{place}log-density"), &svg, heading, &columns)?;
        }
        if !record.stems.is_empty() {
            let stems = record.stems.iter().map(|stem| (stem.value, stem.weight));
            let (values, weights): (Vec<f64>, Vec<f64>) = stems.unzip();
            let svg = stems_svg(name, &record.stems);
            let columns = [&values, &weights];
            self.keep(
                &format!("{place}stems"),
                &svg,
                "ritz_value,weight",
                &columns,
            )?;
        }
        Ok(())
    }

    /// Entries and their standard errors as safetensors files, with the names and shapes of the parameters.
    fn diagonal(&mut self, diagonal: &NamedDiagonal, place: &str) -> Result<()> {
        let file = |named: &[(String, Tensor)]| {
            safetensors::serialize(named.iter().map(|(name, tensor)| (name, tensor)), None)
        };
        for (name, bytes) in [
            ("diagonal", file(&diagonal.values)?),
            ("diagonal-standard-errors", file(&diagonal.standard_errors)?),
        ] {
            self.write(format!("{place}{name}.safetensors"), &bytes)?;
        }
        Ok(())
    }

    /// Writes a picture as SVG and PNG with its data, columns under a heading, as CSV.
    fn keep(&mut self, stem: &str, svg: &str, heading: &str, columns: &[&Vec<f64>]) -> Result<()> {
        self.write(format!("{stem}.svg"), svg.as_bytes())?;
        self.write(format!("{stem}.png"), &png(svg)?)?;
        self.write(format!("{stem}.csv"), csv(heading, columns).as_bytes())
    }

    fn write(&mut self, file: String, bytes: &[u8]) -> Result<()> {
        write_atomic(&self.directory.join(&file), bytes)?;
        self.written.push(file);
        Ok(())
    }
}

fn curve([x, y, standard_error]: [&Vec<f64>; 3]) -> Curve<'_> {
    Curve {
        x,
        y,
        standard_error,
    }
}

/// Columns of equal length under a heading.
fn csv(heading: &str, columns: &[&Vec<f64>]) -> String {
    let rows = columns.first().map_or(0, |column| column.len());
    let row = |row: usize| {
        let numbers = columns.iter().map(|column| format!("{:e}", column[row]));
        numbers.collect::<Vec<_>>().join(",") + "\n"
    };
    format!("{heading}\n{}", (0..rows).map(row).collect::<String>())
}
