//! Every opcode of `pickletools`, in programs by hand, and what the objects then are.

use flatness_formats::{Id, Object, Pickle, PickledArray};

/// The object in one line: tuples in (), lists in [], dicts in {}, what is kept elsewhere behind @.
fn line(pickle: &Pickle, id: Id) -> String {
    let all = |ids: &[Id]| {
        ids.iter()
            .map(|&id| line(pickle, id))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let pairs = |items: &[(Id, Id)]| {
        let pair =
            |&(key, value): &(Id, Id)| format!("{}:{}", line(pickle, key), line(pickle, value));
        items.iter().map(pair).collect::<Vec<_>>().join(" ")
    };
    match pickle.get(id) {
        Object::Text(text) => text.clone(),
        Object::Int(value) => value.to_string(),
        Object::Tuple(elements) => format!("({})", all(elements)),
        Object::List(elements) => format!("[{}]", all(elements)),
        Object::Dict(items) => format!("{{{}}}", pairs(items)),
        Object::Global(module, name) => {
            format!("{}.{}", line(pickle, *module), line(pickle, *name))
        }
        Object::Instance(made) => {
            let state = made
                .state
                .map(|state| line(pickle, state))
                .unwrap_or_default();
            let (callable, arguments) = (line(pickle, made.callable), line(pickle, made.arguments));
            format!("{callable}{arguments}{{{}}}{state}", pairs(&made.items))
        }
        Object::Persistent(key) => format!("@{}", line(pickle, *key)),
        Object::Bytes(bytes) => format!("b{}", bytes.escape_ascii()),
        Object::Other => "?".to_owned(),
    }
}

#[test]
fn every_opcode_makes_what_python_makes() {
    for (program, expected) in [
        (&b"\x80\x04\x95\x02\0\0\0\0\0\0\0K\x05."[..], "5"),
        (b"I-42\n.", "-42"),
        (b"I01\n.", "1"),
        (b"L42L\n.", "42"),
        (b"J\xff\xff\xff\xff.", "-1"),
        (b"M\x01\x02.", "513"),
        (b"\x8a\0.", "0"),
        (b"\x8a\x01\xff.", "-1"),
        (b"\x8a\x09\0\0\0\0\0\0\0\0\x01.", "?"),
        (b"\x8b\x02\0\0\0\0\x01.", "256"),
        (b"N.", "?"),
        (b"\x88.", "1"),
        (b"\x89.", "0"),
        (b"F1.5\n.", "?"),
        (b"G\0\0\0\0\0\0\0\0.", "?"),
        (b"Va b\n.", "a b"),
        (b"S'ab'\n.", "ab"),
        (b"U\x02ab.", "ab"),
        (b"U\x02a\xff.", "ba\\xff"),
        (b"T\x02\0\0\0ab.", "ab"),
        (b"X\x02\0\0\0ab.", "ab"),
        (b"\x8c\x02ab.", "ab"),
        (b"\x8d\x02\0\0\0\0\0\0\0ab.", "ab"),
        (b"B\x02\0\0\0ab.", "bab"),
        (b"C\x02ab.", "bab"),
        (b"\x8e\x02\0\0\0\0\0\0\0ab.", "bab"),
        (b"\x96\x02\0\0\0\0\0\0\0ab.", "bab"),
        (b"\x97\x98.", "?"),
        (b"\x82\x01.", "?"),
        (b"\x83\x01\0.", "?"),
        (b"\x84\x01\0\0\0.", "?"),
        (b").", "()"),
        (b"K\x01\x85.", "(1)"),
        (b"K\x012\x86.", "(1 1)"),
        (b"K\x01K\x02K\x03\x87.", "(1 2 3)"),
        (b"(K\x01K\x02t.", "(1 2)"),
        (b"].", "[]"),
        (b"(K\x01K\x02l.", "[1 2]"),
        (b"]K\x01a(K\x02K\x03e.", "[1 2 3]"),
        (b"\x8f(K\x01\x90.", "?"),
        (b"(K\x01\x91.", "?"),
        (b"}K\x01K\x02s(K\x03K\x04u.", "{1:2 3:4}"),
        (b"(K\x01K\x02d.", "{1:2}"),
        (b"K\x01K\x020.", "1"),
        (b"K\x01(K\x02K\x031.", "1"),
        (b"K\x05q\x000h\0.", "5"),
        (b"K\x05r\0\x01\0\x000j\0\x01\0\0.", "5"),
        (b"K\x05p7\n0g7\n.", "5"),
        (b"K\x05\x940h\0.", "5"),
        (b"cm\nn\n.", "m.n"),
        (b"\x8c\x01m\x8c\x01n\x93.", "m.n"),
        (b"cm\nn\nK\x01\x85R.", "m.n(1){}"),
        (b"cm\nn\nK\x01\x85\x81}b.", "m.n(1){}{}"),
        (b"cm\nn\n)R(K\x01K\x02u.", "m.n(){1:2}"),
        (b"cm\nn\nK\x01\x85}\x92.", "m.n(1){}"),
        (b"(K\x01im\nn\n.", "m.n(1){}"),
        (b"(cm\nn\nK\x01o.", "m.n(1){}"),
        (b"K\x07Q.", "@7"),
        (b"Pab\n.", "@ab"),
    ] {
        let (pickle, rest) = Pickle::parse(program).unwrap();
        assert_eq!(
            line(&pickle, pickle.root()),
            expected,
            "{}",
            program.escape_ascii()
        );
        assert!(rest.is_empty());
        // Without its end it is none.
        for length in 0..program.len() {
            assert!(Pickle::parse(&program[..length]).is_err());
        }
    }
}

/// The same bytes as Python 2 keeps them, and Python 3 in protocols 2 and 3.
#[test]
fn bytes_and_arrays_come_back() {
    for bytes in [
        &b"U\x02\xe9a"[..],
        b"c_codecs\nencode\nX\x03\0\0\0\xc3\xa9aX\x06\0\0\0latin1\x86R",
        b"C\x02\xe9a",
    ] {
        let (pickle, _) = Pickle::parse(&[bytes, b"."].concat()).unwrap();
        assert_eq!(*pickle.bytes(pickle.root()).unwrap(), *b"\xe9a");
        // The bytes are one number of two, in both forms that NumPy writes.
        for (order, is_column_major) in [(0u8, false), (1, true)] {
            for endian in [b'<', b'>', b'|'] {
                let dtype = [
                    &b"cnumpy\ndtype\nX\x02\0\0\0i2K\0K\x01\x87R(K\x03U\x01"[..],
                    &[endian],
                    b"tb",
                ]
                .concat();
                let flag = [b'\x89' - order];
                let reconstructed = [
                    b"cnumpy._core.multiarray\n_reconstruct\n)R(K\x01K\x01K\x01\x86",
                    &dtype[..],
                    &flag,
                    bytes,
                    b"tb.",
                ];
                let letter = [b"CF"[usize::from(order)]];
                let buffered = [
                    b"cnumpy.core.numeric\n_frombuffer\n(",
                    bytes,
                    &dtype[..],
                    b"K\x01K\x01\x86U\x01",
                    &[&letter[..], b"tR."].concat(),
                ];
                for program in [reconstructed.concat(), buffered.concat()] {
                    let (pickle, _) = Pickle::parse(&program).unwrap();
                    let array = pickle.array(pickle.root());
                    assert_eq!(array.is_some(), endian != b'>');
                    let Some(array) = array else { continue };
                    let expected = PickledArray {
                        elements: "i2",
                        shape: vec![1, 1],
                        is_column_major,
                        bytes: array.bytes,
                    };
                    assert_eq!(array, expected);
                    assert_eq!(*pickle.bytes(array.bytes).unwrap(), *b"\xe9a");
                }
            }
        }
    }
}

#[test]
fn objects_without_end_are_an_error() {
    for opcode in [b'}', b'N'] {
        let program = [vec![opcode; 20_000_000], b".".to_vec()].concat();
        let message = Pickle::parse(&program).unwrap_err().to_string();
        assert_eq!(message, "its pickle has more objects than any checkpoint");
    }
    assert_eq!(
        Pickle::parse(b"\xff.").unwrap_err().to_string(),
        "its pickle has the unknown opcode 0xff"
    );
}
