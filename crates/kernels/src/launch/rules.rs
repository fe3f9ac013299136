//! Two rules that kernels are written by: elements that are computed each by itself, and sums over a channel.
//!
//! ```text
//! map     for every b, v, c, a:     out(b, v, c, a) = f(x(b, c, a), g(v, c), ...)
//! sums    for every v, c:           sₖ = Σ over b, a of fₖ(...),    out(v, c) = g(s₀, s₁, ...)    and on the way a map
//! ```
//!
//! Examples b, vectors v, channels c and places a are the axes of everything here, and each operand has some of them, in this
//! order. Its element at the index has the operand's name in the text of f and g; T is the number type of the first operand.
//! An operand without axes is a pointer, which the text indexes. Sums are taken in double precision in an order that the
//! extents alone decide: thread t of 1024 adds b, a in order, every 1024th from t on, and the threads are then added in pairs.

use std::fmt::Write;

use candle_core::{DType, Result, Tensor, bail};

use super::{Launch, Launcher, expect_apart, expect_countable, expect_reach};

/// Threads of a block of a map, and of sums, which have few blocks.
const MAP_THREADS: u32 = 256;
const SUM_THREADS: u32 = 1024;

/// Most blocks of a map: four of the largest card's waves, each thread then takes several elements.
const BLOCKS_AT_MOST: u32 = 1 << 14;

/// Lengths of the axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extents {
    pub(crate) batch: usize,
    pub(crate) vectors: usize,
    pub(crate) channels: usize,
    pub(crate) area: usize,
}

impl Extents {
    /// Of examples (B, ...) as they are, each one channel.
    pub(crate) fn flat(batch: usize, vectors: usize, area: usize) -> Self {
        Self {
            batch,
            vectors,
            channels: 1,
            area,
        }
    }

    /// Of elements without axes.
    pub(crate) fn elements(count: usize) -> Self {
        Self::flat(1, 1, count)
    }

    /// Of blocks (B, V, C, H, W).
    pub(crate) fn block(block: &Tensor) -> Result<Self> {
        let (batch, vectors, channels, height, width) = block.dims5()?;
        Ok(Self {
            batch,
            vectors,
            channels,
            area: height * width,
        })
    }

    fn along(self, axis: char) -> usize {
        match axis {
            'b' => self.batch,
            'v' => self.vectors,
            'c' => self.channels,
            _ => self.area,
        }
    }

    fn sizes(self) -> [usize; 4] {
        [self.batch, self.vectors, self.channels, self.area]
    }
}

/// An operand of a rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand<'a> {
    name: &'static str,
    axes: Axes,
    tensor: &'a Tensor,
    written: bool,
}

#[derive(Debug, Clone, Copy)]
enum Axes {
    /// Letters of `bvca`.
    Of(&'static str),
    /// A pointer to so many elements.
    Pointer(usize),
}

impl<'a> Operand<'a> {
    /// One that is read, with axes `bvca` or some of them.
    pub(crate) fn read(name: &'static str, axes: &'static str, tensor: &'a Tensor) -> Self {
        Self {
            name,
            axes: Axes::Of(axes),
            tensor,
            written: false,
        }
    }

    /// One that is written, and may be read before that.
    pub(crate) fn written(name: &'static str, axes: &'static str, tensor: &'a Tensor) -> Self {
        Self {
            written: true,
            ..Self::read(name, axes, tensor)
        }
    }

    /// A pointer to `count` elements.
    pub(crate) fn pointer(name: &'static str, count: usize, tensor: &'a Tensor) -> Self {
        Self {
            axes: Axes::Pointer(count),
            ..Self::read(name, "", tensor)
        }
    }

    /// The same, written.
    pub(crate) fn into_written(self) -> Self {
        Self {
            written: true,
            ..self
        }
    }

    fn type_name(&self) -> Result<&'static str> {
        Ok(match self.tensor.dtype() {
            DType::F32 => "float",
            DType::F64 => "double",
            DType::U32 => "unsigned",
            DType::U8 => "unsigned char",
            other => bail!(
                "{}: expected a tensor of f32 or f64, got {other:?}",
                self.name
            ),
        })
    }

    /// Has the right length for the axes.
    fn check(&self, extents: Extents) -> Result<()> {
        let count = match self.axes {
            Axes::Of(axes) => axes.chars().map(|axis| extents.along(axis)).product(),
            Axes::Pointer(count) => count,
        };
        if self.tensor.elem_count() != count {
            bail!(
                "{}: expected {count} elements, got {:?}",
                self.name,
                self.tensor.shape()
            );
        }
        expect_reach(self.tensor, self.tensor.dtype(), count)
    }

    /// The declaration of the parameter.
    fn parameter(&self) -> Result<String> {
        let (constant, suffix) = (
            if self.written { "" } else { "const " },
            if matches!(self.axes, Axes::Pointer(_)) {
                ""
            } else {
                "_"
            },
        );
        Ok(format!(
            "{constant}{} *{}{suffix}",
            self.type_name()?,
            self.name
        ))
    }

    /// The declaration of the element, or nothing for pointers.
    fn element(&self, whole: &str) -> Result<String> {
        let Axes::Of(axes) = self.axes else {
            return Ok(String::new());
        };
        let place = if axes == whole {
            "i".to_owned()
        } else {
            let horner = |place: String, axis: char| {
                if place.is_empty() {
                    return axis.to_string();
                }
                format!("({place}) * {} + {axis}", axis.to_ascii_uppercase())
            };
            axes.chars().fold(String::new(), horner)
        };
        let place = if place.is_empty() { "0" } else { &place };
        let (constant, reference) = if self.written {
            ("", "&")
        } else {
            ("const ", "")
        };
        Ok(format!(
            "{constant}{} {reference}{name} = {name}_[{place}]; ",
            self.type_name()?,
            name = self.name
        ))
    }
}

/// A kernel's text and the numbers that are given to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// Of the kernel.
    pub(crate) name: &'static str,
    /// Further sizes, by the names that they have in the text.
    pub(crate) sizes: &'a [(&'static str, usize)],
    /// Numbers of double precision, alike.
    pub(crate) numbers: &'a [(&'static str, f64)],
    /// f, as statements.
    pub(crate) body: &'a str,
}

impl<'a> Source<'a> {
    /// A text without numbers.
    pub(crate) fn new(name: &'static str, body: &'a str) -> Self {
        Self {
            name,
            sizes: &[],
            numbers: &[],
            body,
        }
    }

    /// The head of the kernel, with the number type of the `first` operand.
    fn head(
        &self,
        threads: u32,
        first: Option<&Operand<'_>>,
        operands: &[&Operand<'_>],
    ) -> Result<String> {
        let mut parameters: Vec<String> = ["B", "V", "C", "A"]
            .into_iter()
            .chain(self.sizes.iter().map(|(name, _)| *name))
            .map(|name| format!("unsigned {name}"))
            .collect();
        parameters.extend(
            self.numbers
                .iter()
                .map(|(name, _)| format!("double {name}")),
        );
        for operand in operands {
            parameters.push(operand.parameter()?);
        }
        let number = match first {
            Some(first) => first.type_name()?,
            None => bail!("expected operands of {}", self.name),
        };
        Ok(format!(
            "typedef {number} T;\nKERNEL({threads}) {}({}) {{\n",
            self.name,
            parameters.join(", ")
        ))
    }

    fn launch(
        &self,
        launcher: &dyn Launcher,
        text: &str,
        (extents, blocks, threads): (Extents, u32, u32),
        operands: &[&Operand<'_>],
    ) -> Result<()> {
        let sizes = extents.sizes();
        let sizes = sizes.iter().chain(self.sizes.iter().map(|(_, size)| size));
        let sizes = sizes.map(|&size| {
            expect_countable(size)?;
            Ok(size as u32)
        });
        let tensors = |written| {
            let own = operands
                .iter()
                .filter(move |operand| operand.written == written);
            own.map(|operand| operand.tensor).collect::<Vec<_>>()
        };
        let (read, written) = (tensors(false), tensors(true));
        expect_apart(&written, &read)?;
        launcher.launch(&Launch {
            name: self.name,
            source: text,
            blocks,
            threads,
            sizes: &sizes.collect::<Result<Vec<_>>>()?,
            numbers: &self
                .numbers
                .iter()
                .map(|(_, number)| *number)
                .collect::<Vec<_>>(),
            read: &read,
            written: &written,
        })
    }
}

/// The operands in the order of the arguments: those that are read first.
fn in_order<'o, 'a>(operands: &'o [Operand<'a>]) -> Vec<&'o Operand<'a>> {
    let of = |written| {
        operands
            .iter()
            .filter(move |operand| operand.written == written)
    };
    of(false).chain(of(true)).collect()
}

/// Launches the statements of `source` for every index.
pub(crate) fn map(
    launcher: &dyn Launcher,
    source: Source<'_>,
    extents: Extents,
    operands: &[Operand<'_>],
) -> Result<()> {
    let count = extents.sizes().iter().product();
    expect_countable(count)?;
    for operand in operands {
        operand.check(extents)?;
    }
    if count == 0 {
        return Ok(());
    }
    let (first, operands) = (operands.first(), in_order(operands));
    let mut text = source.head(MAP_THREADS, first, &operands)?;
    text.push_str(
        "    PHASE for (unsigned i = BLOCK * THREADS + thread; i < B * V * C * A; i += BLOCKS * THREADS) {\n        \
         const unsigned a = i % A, c = i / A % C, v = i / A / C % V, b = i / A / C / V;\n        ",
    );
    for operand in &operands {
        text.push_str(&operand.element("bvca")?);
    }
    let _ = write!(text, "\n        {}\n    }} NEXT\n}}\n", source.body);
    let blocks = (count as u32).div_ceil(MAP_THREADS).min(BLOCKS_AT_MOST);
    source.launch(launcher, &text, (extents, blocks, MAP_THREADS), &operands)
}

/// Launches the sums of `terms`, `sum0`, `sum1` and so on in the statements of `source`, for every vector and channel, which
/// see the operands that have no other axes.
pub(crate) fn sums(
    launcher: &dyn Launcher,
    source: Source<'_>,
    extents: Extents,
    operands: &[Operand<'_>],
    terms: &[&str],
) -> Result<()> {
    sums_and_map(launcher, source, extents, operands, (terms, ""))
}

/// The same, with the statements `each` for every index on the way, before its terms.
pub(crate) fn sums_and_map(
    launcher: &dyn Launcher,
    source: Source<'_>,
    extents: Extents,
    operands: &[Operand<'_>],
    (terms, each): (&[&str], &str),
) -> Result<()> {
    let blocks = extents.vectors * extents.channels;
    expect_countable(extents.sizes().iter().product())?;
    for operand in operands {
        operand.check(extents)?;
    }
    if blocks == 0 {
        return Ok(());
    }
    let (first, operands) = (operands.first(), in_order(operands));
    let mut text = source.head(SUM_THREADS, first, &operands)?;
    let _ = writeln!(
        text,
        "    SHARED double part[{}][{SUM_THREADS}];\n    const unsigned v = BLOCK / C, c = BLOCK % C;\n    PHASE",
        terms.len()
    );
    for term in 0..terms.len() {
        let _ = write!(text, "    double sum{term} = 0;");
    }
    text.push_str(
        "\n    for (unsigned j = thread; j < B * A; j += THREADS) {\n        const unsigned b = j / A, a = j % A;\n        ",
    );
    let (indexed, kept): (Vec<&Operand<'_>>, Vec<&Operand<'_>>) = operands
        .iter()
        .partition(|operand| matches!(operand.axes, Axes::Of(axes) if axes.contains(['b', 'a'])));
    let shared = kept.iter().filter(|operand| !operand.written);
    for operand in indexed.into_iter().chain(shared.copied()) {
        text.push_str(&operand.element("")?);
    }
    let _ = write!(text, "\n        {each}");
    for (term, formula) in terms.iter().enumerate() {
        let _ = write!(text, "\n        sum{term} += {formula};");
    }
    text.push_str("\n    }\n   ");
    for term in 0..terms.len() {
        let _ = write!(text, " part[{term}][thread] = sum{term};");
    }
    text.push_str(
        "\n    NEXT\n    for (unsigned half = THREADS / 2; half > 0; half /= 2) {\n        PHASE if (thread < half) {",
    );
    for term in 0..terms.len() {
        let _ = write!(
            text,
            " part[{term}][thread] += part[{term}][thread + half];"
        );
    }
    text.push_str(" } NEXT\n    }\n    PHASE if (thread == 0) {\n       ");
    for term in 0..terms.len() {
        let _ = write!(text, " const double sum{term} = part[{term}][0];");
    }
    text.push_str("\n        ");
    for operand in kept {
        text.push_str(&operand.element("")?);
    }
    let _ = write!(text, "\n        {}\n    }} NEXT\n}}\n", source.body);
    source.launch(
        launcher,
        &text,
        (extents, blocks as u32, SUM_THREADS),
        &operands,
    )
}
