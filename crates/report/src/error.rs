//! What can be wrong with a claim file, or with drawing a figure.

/// Everything that reading claims and rendering a report can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text of a claim is not TOML, or not the TOML of a claim.
    #[error("{origin}, line {line}: {message}")]
    Syntax {
        /// Name of the claim file.
        origin: String,
        /// Line of the offending token, from 1.
        line: usize,
        /// What the parser expected and found.
        message: String,
    },
    /// A field of a claim has a value outside its range.
    #[error("{origin}: {field} must be {expected}, got {got}; correct the claim")]
    Field {
        /// Name of the claim file.
        origin: String,
        /// Name of the field.
        field: &'static str,
        /// Range the field must lie in.
        expected: &'static str,
        /// Value found.
        got: String,
    },
    /// The numbers of a plot do not belong together.
    #[error("plot of {plot}: {field} must have {expected} numbers, got {got}")]
    Length {
        /// What is plotted.
        plot: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Numbers that the other fields ask for.
        expected: usize,
        /// Numbers found.
        got: usize,
    },
    /// A figure has no picture of pixels.
    #[cfg(feature = "png")]
    #[error("a figure cannot be drawn as PNG: {message}")]
    Picture {
        /// Reason given by the drawing library.
        message: String,
    },
    /// A spec has no TOML form.
    #[error("the settings of run {run} cannot be written as TOML: {message}")]
    Settings {
        /// Id of the run.
        run: String,
        /// Reason given by the encoder.
        message: String,
    },
}
