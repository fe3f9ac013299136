//! Arrays of NumPy as it saves them: a header that is the text of a Python dictionary, and the elements behind it.

use crate::Error;

/// One array: the elements are little-endian and in row-major order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<'b> {
    /// Kind and size of an element as NumPy writes them, such as `f4` and `i8`.
    pub elements: &'b str,
    /// Extents.
    pub shape: Vec<usize>,
    /// The bytes of the elements.
    pub bytes: &'b [u8],
}

/// Before the version.
const MAGIC: &[u8] = b"\x93NUMPY";

/// The array that `bytes` of an `.npy` file are.
///
/// # Errors
/// [`Error::Array`] for bytes that are none, elements in another order of bytes or of axes, or fewer bytes than its shape
/// says.
pub fn parse(bytes: &[u8]) -> Result<Array<'_>, Error> {
    let wrong = |reason: &str| Error::Array(reason.to_owned());
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| wrong("it does not begin as one"))?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err(wrong("it is of a version later than 3")),
    };
    let cut = || wrong("its header is cut off");
    let (header, elements) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| wrong("its header is no text"))?;
    let kind = value(header, "'descr':").and_then(|rest| rest.strip_prefix('\''));
    let kind = kind.and_then(|rest| rest.split('\'').next());
    let kind = kind.ok_or_else(|| wrong("its header names no type of its own"))?;
    let one_byte = kind.strip_prefix('|').filter(|kind| kind.ends_with('1'));
    let kind = kind.strip_prefix('<').or(one_byte);
    let kind = kind.ok_or_else(|| wrong("its elements are not numbers in little-endian order"))?;
    if !value(header, "'fortran_order':").is_some_and(|rest| rest.starts_with("False")) {
        return Err(wrong(
            "it is in column-major order; save numpy.ascontiguousarray of it",
        ));
    }
    let shape = value(header, "'shape':").and_then(|rest| rest.strip_prefix('('));
    let shape = shape.and_then(|rest| rest.split(')').next());
    let extents = shape
        .ok_or_else(|| wrong("its header has no shape"))?
        .split(',');
    let extents = extents.map(str::trim).filter(|extent| !extent.is_empty());
    let shape: Result<Vec<usize>, _> = extents.map(str::parse).collect();
    let shape = shape.map_err(|_| wrong("its header has no shape of numbers"))?;
    let size = kind.get(1..).and_then(|size| size.parse::<usize>().ok());
    let size = size.ok_or_else(|| wrong("its type has no size"))?;
    let needed = shape
        .iter()
        .try_fold(size, |bytes, extent| bytes.checked_mul(*extent));
    let held = needed.and_then(|needed| elements.get(..needed));
    Ok(Array {
        elements: kind,
        bytes: held.ok_or_else(|| wrong("it has fewer bytes than its shape says"))?,
        shape,
    })
}

/// What stands behind `key` in the text of the header.
fn value<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    Some(header.split_once(key)?.1.trim_start())
}

#[cfg(test)]
mod tests {
    use super::{Array, parse};

    fn file(header: &str, elements: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [
            b"\x93NUMPY\x01\x00",
            &length[..],
            header.as_bytes(),
            elements,
        ]
        .concat()
    }

    #[test]
    fn arrays_have_type_shape_and_elements() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
        let bytes = file(header, &[0; 8]);
        let array = parse(&bytes).unwrap();
        let expected = Array {
            elements: "f4",
            shape: vec![2, 1],
            bytes: &[0; 8],
        };
        assert_eq!(array, expected);
        let bytes = file(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }",
            &[1, 2, 3],
        );
        assert_eq!(parse(&bytes).unwrap().bytes, [1, 2, 3]);
        let bytes = file(
            "{'descr': '<i8', 'fortran_order': False, 'shape': (), }",
            &[7; 8],
        );
        assert_eq!(parse(&bytes).unwrap().shape, []);
    }

    #[test]
    fn other_bytes_are_errors() {
        let header = |kind: &str, order: &str, shape: &str| {
            format!("{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}")
        };
        let cases = [
            (header("'<f4'", "False", "(3,)"), "fewer bytes"),
            (
                header("'<f4'", "False", "(4294967296, 4294967296, 4294967296)"),
                "fewer bytes",
            ),
            (header("'>f4'", "False", "(2,)"), "little-endian"),
            (header("'|O'", "False", "(2,)"), "little-endian"),
            (header("[('a', '<f4')]", "False", "(2,)"), "no type"),
            (header("'<f4'", "True", "(2,)"), "column-major"),
            (header("'<f4'", "False", "(-2,)"), "no shape of numbers"),
            (header("'<'", "False", "(2,)"), "no size"),
            ("{'shape': (2,)}".to_owned(), "no type"),
        ];
        for (header, reason) in cases {
            let message = parse(&file(&header, &[0; 8])).unwrap_err().to_string();
            assert!(message.contains(reason), "{header}: {message}");
        }
        for bytes in [
            &b"PK\x03\x04"[..],
            b"\x93NUMPY\x09\x00\x00\x00",
            b"\x93NUMPY\x01\x00\xff\x00{",
        ] {
            assert!(parse(bytes).is_err());
        }
    }
}
