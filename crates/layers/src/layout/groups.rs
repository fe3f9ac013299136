//! Groups of parameters: ranges of the flat vector by patterns over names, and by layers.
//!
//! A pattern is a name in which each `*` stands for any characters, dots included, or for none:
//! `features.*.weight`, `layer1.*`, `fc.bias`, `*`. It must match the whole name, so that `fc` alone
//! matches no `fc.bias`.

use std::ops::Range;

use super::ParamLayout;
use crate::Error;

/// Names that a message lists before it counts the rest.
const LISTED: usize = 20;

impl ParamLayout {
    /// Ranges of the flat vector whose parameters match at least one of `patterns`: in order, disjoint,
    /// and as long as they can be, so that neighbours are one range.
    ///
    /// # Errors
    /// [`Error::Pattern`] for the first pattern that matches nothing, [`Error::NoPattern`] when there
    /// is none.
    pub fn select(&self, patterns: &[impl AsRef<str>]) -> Result<Vec<Range<usize>>, Error> {
        if patterns.is_empty() {
            return Err(Error::NoPattern);
        }
        let mut selected = vec![false; self.parameters.len()];
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let mut any = false;
            for (parameter, selected) in self.parameters.iter().zip(&mut selected) {
                if matches(pattern, &parameter.name) {
                    *selected = true;
                    any = true;
                }
            }
            if !any {
                return Err(Error::Pattern {
                    pattern: pattern.to_owned(),
                    names: self.listed(),
                });
            }
        }
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let selected = self
            .ranges()
            .zip(selected)
            .filter(|(_, selected)| *selected);
        for (range, _) in selected {
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        Ok(ranges)
    }

    /// The layers in order, each with the range of its parameters: neighbours called
    /// `<layer>.<parameter>`. A name without a dot is a layer of its own.
    #[must_use]
    pub fn layers(&self) -> Vec<(&str, Range<usize>)> {
        let mut layers: Vec<(&str, Range<usize>)> = Vec::new();
        for (parameter, range) in self.parameters.iter().zip(self.ranges()) {
            let name = parameter.name.as_str();
            let layer = name.rsplit_once('.').map_or(name, |(layer, _)| layer);
            match layers.last_mut() {
                Some((last, whole)) if *last == layer => whole.end = range.end,
                _ => layers.push((layer, range)),
            }
        }
        layers
    }

    /// The range of each parameter.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let pieces = self.parameters.iter().zip(&self.offsets);
        pieces.map(|(parameter, &offset)| offset..offset + parameter.len())
    }

    /// The names, for messages.
    fn listed(&self) -> String {
        let names = self.parameters.iter().take(LISTED);
        let names: Vec<&str> = names.map(|parameter| parameter.name.as_str()).collect();
        match self.parameters.len().saturating_sub(LISTED) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// Whether `pattern` matches the whole of `name`. The pieces between the stars are found from the left,
/// each as early as can be, which leaves the most for those behind it.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = name.strip_prefix(first);
    let Some(mut inner) = inner.and_then(|inner| inner.strip_suffix(last)) else {
        return false;
    };
    for piece in middle.split('*') {
        match inner.find(piece) {
            Some(start) => inner = &inner[start + piece.len()..],
            None => return false,
        }
    }
    true
}
