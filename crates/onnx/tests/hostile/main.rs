//! Files that are damaged, made to harm, or something else: one sentence each, in bounded memory.

mod file;

use std::path::Path;

use candle_core::{Device, Tensor};
use flatness_onnx::{Error, decode, read};

use file::{Message, elsewhere, info, model, node, tensor};

/// x W of a W (2, 2), and a bias.
fn affine(weight: Message) -> Vec<u8> {
    let nodes = [
        node("MatMul", &["x", "fc.weight"], "z"),
        node("Add", &["z", "fc.bias"], "y"),
    ];
    model(17, &nodes, &[weight, tensor("fc.bias", &[2], &[0.5, 1.0])])
}

fn refusal(bytes: &[u8]) -> String {
    decode(bytes.to_vec(), None, "net.onnx", &[])
        .expect_err("a refusal")
        .to_string()
}

#[test]
fn a_whole_model_is_read() {
    let bytes = affine(tensor("fc.weight", &[2, 2], &[1.0, 2.0, 3.0, 4.0]));
    let imported = decode(bytes, None, "net.onnx", &[]).unwrap();
    let parameters = imported.parameters.to_vec1::<f32>().unwrap();
    // Under its own name a matrix is as PyTorch has it, (inputs, outputs) where the model multiplies x W.
    assert_eq!(parameters, [1.0, 2.0, 3.0, 4.0, 0.5, 1.0]);
    assert_eq!(imported.notes.len(), 1, "{:?}", imported.notes);
    let views = imported
        .network
        .layout()
        .views(&imported.parameters)
        .unwrap();
    let x = Tensor::new(&[[1f32, -1.0]], &Device::Cpu).unwrap();
    let y = imported.network.forward(&views, &x).unwrap();
    assert_eq!(y.to_vec2::<f32>().unwrap(), [[-1.5, -1.0]]);
}

/// x W and x Wᵀ with one W: one parameter, whose gradient has both.
#[test]
fn a_matrix_used_both_ways_is_one_parameter() {
    let transposed = Message::default().bytes(1, "transB").number(3, 1);
    let nodes = [
        node("MatMul", &["x", "w"], "z"),
        node("Gemm", &["z", "w"], "y").message(5, &transposed),
    ];
    let bytes = model(17, &nodes, &[tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])]);
    let imported = decode(bytes, None, "net.onnx", &[]).unwrap();
    assert_eq!(imported.network.layout().dim(), 4);
    let views = imported
        .network
        .layout()
        .views(&imported.parameters)
        .unwrap();
    let x = Tensor::new(&[[1f32, 0.0]], &Device::Cpu).unwrap();
    let y = imported.network.forward(&views, &x).unwrap();
    // (1, 2) W' of W = (1 2; 3 4).
    assert_eq!(y.to_vec2::<f32>().unwrap(), [[5.0, 11.0]]);
}

#[test]
fn masks_and_what_is_said_to_be_constant_are_no_parameters() {
    let nodes = [
        node("Mul", &["x", "gain"], "g"),
        node("Add", &["g", "table"], "t"),
        node("Add", &["t", "mask"], "z"),
        node("MatMul", &["z", "w"], "y"),
    ];
    let tensors = [
        tensor("gain", &[], &[2.0]),
        tensor("table", &[1, 2], &[0.5, 0.25]),
        tensor("mask", &[2], &[0.0, -1e9]),
        tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
    ];
    let names = |constants: &[&str]| {
        let constants: Vec<String> = constants.iter().map(|&name| name.to_owned()).collect();
        let imported = decode(model(17, &nodes, &tensors), None, "net.onnx", &constants)?;
        let all = imported.network.layout().parameters().iter();
        let all: Vec<String> = all.map(|parameter| parameter.name.clone()).collect();
        Ok::<_, Error>((all, imported.notes.join("; ")))
    };
    let (all, notes) = names(&[]).unwrap();
    assert_eq!(all, ["gain", "table", "w"]);
    assert!(notes.contains("as masks have: mask"), "{notes}");
    assert!(notes.contains("buffers: gain, table"), "{notes}");
    let (some, _) = names(&["table"]).unwrap();
    assert_eq!(some, ["gain", "w"]);
    let refusal = names(&["tabel"]).unwrap_err().to_string();
    assert!(refusal.contains("no initialiser tabel"), "{refusal}");
}

/// y = x times the number of examples.
#[test]
fn a_network_that_computes_with_the_number_of_examples_is_refused() {
    let cast = Message::default().bytes(1, "to").number(3, 1);
    let first = tensor("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let zero = Message::default()
        .number(1, 1)
        .number(2, 7)
        .bytes(8, "zero")
        .bytes(9, 0i64.to_le_bytes());
    let nodes = [
        node("MatMul", &["x", "w"], "z"),
        node("Shape", &["x"], "shape"),
        node("Gather", &["shape", "zero"], "count"),
        node("Cast", &["count"], "number").message(5, &cast),
        node("Mul", &["z", "number"], "y"),
    ];
    let graph = nodes
        .iter()
        .fold(Message::default(), |graph, node| graph.message(1, node));
    let graph = graph.message(5, &first).message(5, &zero);
    // An open number of examples.
    let open = Message::default().message(1, &Message::default().bytes(2, "batch"));
    let open = open.message(1, &Message::default().number(1, 2));
    let kind = Message::default().number(1, 1).message(2, &open);
    let input = Message::default()
        .bytes(1, "x")
        .message(2, &Message::default().message(1, &kind));
    let graph = graph.message(11, &input).message(12, &info("y", &[4, 2]));
    let set = Message::default().number(2, 17);
    let bytes = Message::default()
        .number(1, 8)
        .message(7, &graph)
        .message(8, &set)
        .0;
    let refusal = refusal(&bytes);
    assert!(refusal.contains("number of examples"), "{refusal}");
}

#[test]
fn equal_initialisers_are_several_parameters_unless_a_matrix_is_tied() {
    let named = |node: Message, name: &str| node.bytes(3, name);
    let transposed = Message::default().bytes(1, "transB").number(3, 1);
    let gemm = |inputs: &[&str], output: &str| node("Gemm", inputs, output).message(5, &transposed);
    let nodes = [
        named(node("Identity", &["a.bias"], "b.bias"), "Identity_1"),
        named(gemm(&["x", "a.weight", "a.bias"], "h"), "/a/Gemm"),
        named(gemm(&["h", "b.weight", "b.bias"], "g"), "/b/Gemm"),
        named(
            node("MatMul", &["g", "onnx::MatMul_9"], "f"),
            "/head/MatMul",
        ),
        named(
            node("MatMul", &["f", "onnx::MatMul_10"], "y"),
            "/blocks/blocks.0/fc/MatMul",
        ),
    ];
    let tensors = [
        tensor("a.weight", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
        tensor("a.bias", &[2], &[0.0, 0.0]),
        tensor("b.weight", &[2, 2], &[5.0, 6.0, 7.0, 8.0]),
        // That of a, transposed, and one of its own.
        tensor("onnx::MatMul_9", &[2, 2], &[1.0, 3.0, 2.0, 4.0]),
        tensor("onnx::MatMul_10", &[2, 2], &[9.0, 10.0, 11.0, 12.0]),
    ];
    let imported = decode(model(17, &nodes, &tensors), None, "net.onnx", &[]).unwrap();
    let parameters = imported.network.layout().parameters().iter();
    let names: Vec<&str> = parameters
        .map(|parameter| parameter.name.as_str())
        .collect();
    let expected = [
        "a.weight",
        "a.bias",
        "b.weight",
        "b.bias",
        "blocks.0.fc.weight",
    ];
    assert_eq!(names, expected);
    let elements = imported.parameters.to_vec1::<f32>().unwrap();
    assert_eq!(elements[12..], [9.0, 11.0, 10.0, 12.0]);
}

#[test]
fn graphs_that_are_no_networks_are_refused() {
    let weight = || tensor("w", &[2, 2], &[1.0; 4]);
    let twice = [node("MatMul", &["x", "w"], "y"), node("Relu", &["x"], "y")];
    for (bytes, expected) in [
        // A cycle, and in it a value before it is made.
        (
            model(
                17,
                &[node("Add", &["x", "b"], "a"), node("Relu", &["a"], "b")],
                &[],
            ),
            "takes the value b, which nothing before it makes",
        ),
        (
            model(17, &[node("MatMul", &["x", "w"], "y")], &[]),
            "takes the value w, which nothing",
        ),
        (
            model(17, &twice, &[weight()]),
            "makes the value y a second time",
        ),
        (
            model(17, &[node("MatMul", &["x", "w"], "z")], &[weight()]),
            "output y is made by no node",
        ),
        (
            model(9, &[node("MatMul", &["x", "w"], "y")], &[weight()]),
            "opset 9; export it with opset_version=13",
        ),
        (
            model(17, &[node("LSTM", &["x", "w"], "y")], &[weight()]),
            "its node /LSTM is of the operator LSTM, which is not there; those that are:",
        ),
        (
            model(17, &[node("MatMul", &["w", "x"], "y")], &[weight()]),
            "multiplies over the batch axis",
        ),
        (
            model(17, &[node("Relu", &["w"], "y")], &[weight()]),
            "no batch axis in front",
        ),
    ] {
        let refusal = refusal(&bytes);
        assert!(refusal.contains(expected), "{refusal}");
        // A sentence, and behind it, if anything, a list in lines.
        let list: Vec<&str> = refusal.lines().skip(1).collect();
        assert_eq!(list.is_empty(), !refusal.contains("LSTM"), "{refusal}");
        assert!(
            list.iter()
                .all(|line| line.starts_with("  ") && line.len() <= 100)
        );
    }
}

#[test]
fn operators_on_impossible_numbers_are_refused() {
    let int = |name: &str, number: i64| Message::default().bytes(1, name).number(3, number);
    let text = |name: &str, text: &str| Message::default().bytes(1, name).bytes(4, text);
    let numbers = |values: &[i64]| {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Message::default()
            .number(1, values.len() as i64)
            .number(2, 7)
            .bytes(8, "n")
            .bytes(9, bytes)
    };
    let on = |operator: &str, inputs: &[&str]| node(operator, inputs, "y");
    for (node, values, expected) in [
        (on("Tile", &["x", "n"]), &[1, i64::MAX][..], "too large"),
        (on("Tile", &["x", "n"]), &[1, 1 << 40], "too large"),
        (on("Tile", &["x", "n"]), &[2, 1], "acts on the batch axis"),
        (
            on("Resize", &["x", "", "", "n"]),
            &[4, 1 << 40],
            "too large",
        ),
        (
            on("Resize", &["x", "", "", "n"]),
            &[4, -3],
            "makes 0 elements of 2",
        ),
        (
            on("Resize", &["x", "", "", "n"])
                .message(5, &text("mode", "linear"))
                .message(
                    5,
                    &text("coordinate_transformation_mode", "tf_crop_and_resize"),
                ),
            &[4, 3],
            "the coordinates tf_crop_and_resize",
        ),
        (
            on("Pad", &["x", "n"]).message(5, &text("mode", "reflect")),
            &[0, 5, 0, 0],
            "pads 2 elements by 5 and 0",
        ),
        (
            on("Pad", &["x", "n"]).message(5, &text("mode", "edge")),
            &[0, i64::MAX, 0, i64::MAX],
            "too large",
        ),
        (
            on("Pad", &["x", "n"]),
            &[0, -2, 0, -1],
            "cuts off more than there is",
        ),
        (
            on("Einsum", &["x", "n"]).message(5, &text("equation", "ij,k->iz")),
            &[1],
            "has the equation ij,k->iz",
        ),
        (
            on("Einsum", &["x", "n"]).message(5, &text("equation", "ii,k->k")),
            &[1],
            "has the equation ii,k->k",
        ),
        (
            on("GatherND", &["x", "n"]),
            &[1, 2, 3],
            "by 3 numbers of 2 axes",
        ),
        (
            on("GatherND", &["n", "n"]),
            &[9],
            "an element that its axes do not have",
        ),
        (on("CumSum", &["x", "n"]), &[7], "names the axis 7"),
        (on("CumSum", &["x", "n"]), &[0], "acts on the batch axis"),
        (
            on("ReduceMax", &["x", "n"]),
            &[0, 1],
            "acts on the batch axis",
        ),
        (
            on("DepthToSpace", &["x"]).message(5, &int("blocksize", 0)),
            &[1],
            "the side of a block",
        ),
        (on("SequenceAt", &["x", "n"]), &[0], "what is no sequence"),
        (
            on("Attention", &["x", "x", "x"]),
            &[0],
            "needs (batch, heads, positions, width)",
        ),
        (on("Floor", &["x"]), &[0], "has no derivative"),
    ] {
        let refusal = refusal(&model(17, &[node], &[numbers(values)]));
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn tensors_of_impossible_sizes_are_refused() {
    for (weight, expected) in [
        (
            tensor("fc.weight", &[i64::MAX, 8], &[1.0]),
            "impossible shape",
        ),
        (tensor("fc.weight", &[-2, 2], &[1.0; 4]), "impossible shape"),
        (
            tensor("fc.weight", &[2, 2], &[1.0; 3]),
            "has 12 bytes, and its shape needs 16",
        ),
        (
            tensor("fc.weight", &[1 << 20, 1 << 20], &[1.0]),
            "has 4 bytes, and its shape needs",
        ),
        (
            tensor("fc.weight", &[2, 1 << 50], &[1.0]),
            "has 4 bytes, and its shape needs",
        ),
        (
            tensor("fc.weight", &[2, 2], &[1.0; 4]).number(2, 13),
            "of the type uint64, which is not read",
        ),
    ] {
        let refusal = refusal(&affine(weight));
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn external_data_are_read_beside_the_model_and_nowhere_else() {
    let outer = tempfile::tempdir().unwrap();
    let directory = outer.path().join("model");
    std::fs::create_dir(&directory).unwrap();
    let elements: Vec<u8> = [0f32, 1.0, 2.0, 3.0, 4.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    std::fs::write(directory.join("net.data"), &elements).unwrap();
    std::fs::write(outer.path().join("secret"), &elements).unwrap();
    let outside = outer.path().join("secret").display().to_string();
    let path = directory.join("net.onnx");
    let read = |location: &str, offset: &str| {
        std::fs::write(
            &path,
            affine(elsewhere("fc.weight", &[2, 2], location, offset)),
        )
        .unwrap();
        read(&path, &[]).map(|imported| imported.parameters.to_vec1::<f32>().unwrap())
    };
    assert_eq!(read("net.data", "4").unwrap()[..4], [1.0, 2.0, 3.0, 4.0]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(outer.path().join("secret"), directory.join("link")).unwrap();
    for (location, offset, expected) in [
        ("../secret", "0", "outside the directory"),
        (outside.as_str(), "0", "outside the directory"),
        #[cfg(unix)]
        ("link", "0", "outside the directory"),
        (
            "net.data",
            "8",
            "ends behind the end of net.data, at 20 bytes",
        ),
        ("net.data", "18446744073709551615", "ends behind the end"),
        ("net.data", "-4", "is no number"),
        ("nothing", "0", "cannot be read from nothing"),
        ("", "0", "outside the directory"),
    ] {
        let refusal = read(location, offset).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{location}: {refusal}");
    }
}

#[test]
fn other_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net.onnx");
    for (bytes, expected) in [
        (
            &b"<!DOCTYPE html><html>"[..],
            "is no ONNX file but a web page",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "but a Git LFS pointer",
        ),
        (b"PK\x03\x04", "but a zip archive"),
        (b"", "but an empty file"),
        (b"Hello, world", "is not a whole ONNX file"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let refusal = read(&path, &[]).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
    assert!(matches!(
        read(&directory.path().join("nothing"), &[]),
        Err(Error::Read { .. })
    ));
}

#[test]
fn messages_made_to_fill_memory_are_refused() {
    // Four million empty nodes, of two bytes each.
    let graph = [0x0a, 0].repeat(1 << 22);
    let many = Message::default().bytes(7, graph).0;
    assert!(refusal(&many).contains("more than a million fields"));
    // Messages in messages, in the field that a tensor has for names.
    let mut deep = Message::default();
    for _ in 0..5000 {
        deep = Message::default().message(7, &deep);
    }
    assert!(refusal(&deep.0).contains("not a whole ONNX file"));
    // Constants of 2⁴⁰ elements from a file of few bytes.
    let dims = Message::default()
        .bytes(4, "ConstantOfShape")
        .bytes(1, "n")
        .bytes(2, "c");
    let extents: Vec<u8> = [1i64 << 20, 1 << 20]
        .iter()
        .flat_map(|extent| extent.to_le_bytes())
        .collect();
    let shape = Message::default()
        .number(1, 2)
        .number(2, 7)
        .bytes(8, "n")
        .bytes(9, extents);
    let refusal = refusal(&model(17, &[dims, node("Add", &["x", "c"], "y")], &[shape]));
    assert!(refusal.contains("too large"), "{refusal}");
}

/// Seeded numbers below a bound.
struct Stream(u64);

impl Stream {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

#[test]
fn damaged_files_never_panic() {
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"));
    let mut stream = Stream(1);
    for name in [
        "lenet",
        "gpt",
        "group-norm-dynamo",
        "encoder",
        "contractions",
        "llama",
        "masked",
        "norms-dynamo",
        "pieces",
        "segmenter",
        "signals",
    ] {
        let whole = std::fs::read(golden.join(format!("{name}.onnx"))).unwrap();
        for _ in 0..DAMAGED {
            let mut bytes = whole.clone();
            match stream.below(4) {
                0 => bytes.truncate(stream.below(whole.len())),
                1 => {
                    let (start, length) = (stream.below(whole.len()), stream.below(64));
                    bytes.drain(start..(start + length).min(whole.len()));
                }
                _ => {
                    for _ in 0..=stream.below(8) {
                        let at = stream.below(whole.len());
                        bytes[at] = stream.below(256) as u8;
                    }
                }
            }
            if let Err(error) = decode(bytes, None, "net.onnx", &[]) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

/// Damaged copies of each file; a run with 250 000 of each of the first four has found nothing.
const DAMAGED: usize = 60;
