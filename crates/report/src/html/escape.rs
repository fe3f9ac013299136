//! Text made safe for HTML, with the two subscripts that Unicode lacks.

/// Escapes the five characters that HTML gives a meaning, and sets `_F` and `_max` as subscripts.
pub(super) fn escape(text: &str) -> String {
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
        .replace("‖_F", "‖<sub>F</sub>")
        .replace("λ_max", "λ<sub>max</sub>")
}
