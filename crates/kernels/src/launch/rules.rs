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
//! extents alone decide: few long sums are cut into slices, one for each block of threads; of the n threads of all slices
//! together each adds b, a in order, every n-th; the threads of a block are then added in pairs, and so are the slices, by
//! whichever block comes to its end last.

use std::fmt::Write;

use candle_core::{DType, Result, Tensor, bail};

use super::{Launch, Launcher, expect_apart, expect_countable, expect_reach};

/// Threads of a block of a map, and of long sums, which have few blocks.
const MAP_THREADS: u32 = 256;
const SUM_THREADS: u32 = 1024;

/// Blocks that sums are cut into, where they are long enough: two of the largest card's waves; and addends of each at the
/// least, four of a thread. No sum has more slices than a block has threads.
const SUM_BLOCKS: usize = 256;
const SLICE: usize = 4096;

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
    let channels = extents.vectors * extents.channels;
    expect_countable(extents.batch * extents.area)?;
    for operand in operands {
        operand.check(extents)?;
    }
    let (Some(first), true) = (operands.first(), channels > 0) else {
        return Ok(());
    };
    let slices = slices(extents);
    let blocks = channels * slices;
    expect_countable(blocks)?;
    let scratch = match slices {
        1 => None,
        _ => Some((
            launcher.room(&[blocks, terms.len()], DType::F64, first.tensor)?,
            launcher.zeros(channels, first.tensor)?,
        )),
    };
    let mut all = operands.to_vec();
    if let Some((parts, arrived)) = &scratch {
        let parts = Operand::pointer("parts", blocks * terms.len(), parts);
        let arrived = Operand::pointer("arrived", channels, arrived);
        all.extend([parts, arrived].map(Operand::into_written));
    }
    let (all, operands) = (in_order(&all), in_order(operands));
    let sizes = [source.sizes, &[("SLICES", slices)]].concat();
    let source = Source {
        sizes: &sizes,
        ..source
    };
    let mut text = source.head(SUM_THREADS, Some(first), &all)?;
    let every = |write: &dyn Fn(usize) -> String| (0..terms.len()).map(write).collect::<String>();
    let declared = |operands: &[&Operand<'_>]| -> Result<String> {
        operands.iter().map(|operand| operand.element("")).collect()
    };
    let (indexed, kept): (Vec<&Operand<'_>>, Vec<&Operand<'_>>) = operands
        .iter()
        .partition(|operand| matches!(operand.axes, Axes::Of(axes) if axes.contains(['b', 'a'])));
    let shared: Vec<_> = (kept.iter().copied())
        .filter(|operand| !operand.written)
        .collect();
    let count = terms.len();
    let _ = write!(
        text,
        "    SHARED double part[{count}][{SUM_THREADS}];
    SHARED bool last;
    const unsigned channel = BLOCK / SLICES, v = channel / C, c = channel % C;
    PHASE
    {}
    for (unsigned j = BLOCK % SLICES * THREADS + thread; j < B * A; j += SLICES * THREADS) {{
        const unsigned b = j / A, a = j % A;
        {}{}
        {each}
        {}
    }}
    {}
    NEXT
",
        every(&|term| format!("double sum{term} = 0; ")),
        declared(&indexed)?,
        declared(&shared)?,
        every(&|term| format!("sum{term} += {}; ", terms[term])),
        every(&|term| format!("part[{term}][thread] = sum{term}; ")),
    );
    let in_pairs = format!(
        "    for (unsigned half = THREADS / 2; half > 0; half /= 2) {{
        PHASE if (thread < half) {{ {}}} NEXT
    }}
",
        every(&|term| format!("part[{term}][thread] += part[{term}][thread + half]; ")),
    );
    text.push_str(&in_pairs);
    if slices > 1 {
        let _ = write!(
            text,
            "    PHASE if (thread == 0) {{
        {}
        last = LAST(arrived[channel], SLICES);
    }} NEXT
    PHASE if (last) {{
        {}
    }} NEXT
{in_pairs}    PHASE if (last && thread == 0) {{
        arrived[channel] = 0;
",
            every(&|term| format!("parts[BLOCK * {count} + {term}] = part[{term}][0]; ")),
            every(&|term| format!(
                "part[{term}][thread] = thread < SLICES ? OTHERS(parts)[(channel * SLICES + thread) * {count} + {term}] : 0; "
            )),
        );
    } else {
        text.push_str("    PHASE if (thread == 0) {\n");
    }
    let _ = write!(
        text,
        "        {}{}\n        {}\n    }} NEXT\n}}\n",
        every(&|term| format!("const double sum{term} = part[{term}][0]; ")),
        declared(&kept)?,
        source.body
    );
    let threads = sum_threads(extents);
    source.launch(launcher, &text, (extents, blocks as u32, threads), &all)
}

/// Threads of each block of sums: no more than a power of two that has one for each addend, so that the pairs are the same.
fn sum_threads(extents: Extents) -> u32 {
    let addends = extents.batch * extents.area;
    addends.next_power_of_two().min(SUM_THREADS as usize) as u32
}

/// Blocks that share a sum, which follow from the extents alone, whatever the card.
fn slices(extents: Extents) -> usize {
    let (sums, addends) = (
        extents.vectors * extents.channels,
        extents.batch * extents.area,
    );
    SUM_BLOCKS.div_ceil(sums).min(addends / SLICE).max(1)
}
