//! ONNX files written byte by byte.

/// A message of protobuf, field by field.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn varint(mut self, mut number: u64) -> Self {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    pub(crate) fn number(self, field: u64, number: i64) -> Self {
        self.varint(field << 3).varint(number as u64)
    }

    pub(crate) fn bytes(self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut message = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        message.0.extend_from_slice(bytes);
        message
    }

    pub(crate) fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }
}

pub(crate) fn tensor(name: &str, dims: &[i64], data: &[f32]) -> Message {
    let tensor = dims.iter().fold(Message::default(), |tensor, &extent| {
        tensor.number(1, extent)
    });
    let raw: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor.number(2, 1).bytes(8, name).bytes(9, raw)
}

/// A tensor whose elements are in the file `location`.
pub(crate) fn elsewhere(name: &str, dims: &[i64], location: &str, offset: &str) -> Message {
    let pair = |key: &str, value: &str| Message::default().bytes(1, key).bytes(2, value);
    let tensor = dims.iter().fold(Message::default(), |tensor, &extent| {
        tensor.number(1, extent)
    });
    let tensor = tensor.number(2, 1).bytes(8, name).number(14, 1);
    tensor
        .message(13, &pair("location", location))
        .message(13, &pair("offset", offset))
}

pub(crate) fn node(operator: &str, inputs: &[&str], output: &str) -> Message {
    let node = inputs
        .iter()
        .fold(Message::default(), |node, input| node.bytes(1, input));
    node.bytes(2, output)
        .bytes(3, format!("/{operator}"))
        .bytes(4, operator)
}

pub(crate) fn info(name: &str, extents: &[i64]) -> Message {
    let shape = extents.iter().fold(Message::default(), |shape, &extent| {
        shape.message(1, &Message::default().number(1, extent))
    });
    let kind = Message::default().number(1, 1).message(2, &shape);
    Message::default()
        .bytes(1, name)
        .message(2, &Message::default().message(1, &kind))
}

/// A model of opset `opset` with these nodes and initialisers, an input x (B, 2) and an output y.
pub(crate) fn model(opset: i64, nodes: &[Message], tensors: &[Message]) -> Vec<u8> {
    let graph = nodes
        .iter()
        .fold(Message::default(), |graph, node| graph.message(1, node));
    let graph = tensors
        .iter()
        .fold(graph, |graph, tensor| graph.message(5, tensor));
    let graph = graph
        .message(11, &info("x", &[4, 2]))
        .message(12, &info("y", &[4, 2]));
    let set = Message::default().number(2, opset);
    Message::default()
        .number(1, 8)
        .message(7, &graph)
        .message(8, &set)
        .0
}
