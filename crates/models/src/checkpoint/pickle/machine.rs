//! The stack machine that a pickle is a program for.
//!
//! Source: the opcodes of CPython's `pickletools.py`; `torch.save` writes protocol 2.

use std::collections::HashMap;

use super::{Id, Object};

/// The machine: what is still to run, and its state.
pub(super) struct Machine<'p> {
    /// What is still to run.
    program: &'p [u8],
    objects: Vec<Object>,
    /// Objects and marks (none).
    stack: Vec<Option<Id>>,
    memo: HashMap<u32, Id>,
}

impl<'p> Machine<'p> {
    pub(super) fn new(program: &'p [u8]) -> Self {
        Self {
            program,
            objects: Vec::new(),
            stack: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// All objects, and the number of the one that the program is for.
    pub(super) fn run(mut self) -> Result<(Vec<Object>, Id), String> {
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return Ok((self.objects, root));
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        // What stands behind the opcode: a key, a number, or the length of what follows.
        let argument: u32 = match opcode {
            0x80 | b'q' | b'h' | b'K' | 0x8a | 0x8c | b'C' | b'U' => self.byte()?.into(),
            b'M' => self.array().map(u16::from_le_bytes)?.into(),
            b'r' | b'j' | b'J' | b'X' | b'B' | b'T' => self.array().map(u32::from_le_bytes)?,
            _ => 0,
        };
        let length = argument as usize;
        match opcode {
            // PROTO, FRAME: nothing to do.
            0x80 => {}
            0x95 => drop(self.take(8)?),
            // MARK, POP.
            b'(' => self.stack.push(None),
            b'0' => drop(self.stack.pop()),
            // The memo: (LONG_)BINPUT, MEMOIZE, (LONG_)BINGET.
            b'q' | b'r' => self.remember(argument)?,
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' | b'j' => self.recall(argument)?,
            // Integers: BININT, BININT1, BININT2, LONG1.
            b'J' => self.push(Object::Int(argument.cast_signed().into())),
            b'K' | b'M' => self.push(Object::Int(argument.into())),
            0x8a => {
                let value = long(self.take(length)?);
                self.push(value.map_or(Object::Other, Object::Int));
            }
            // NONE, NEWTRUE, NEWFALSE, BINFLOAT.
            b'N' | 0x88 | 0x89 => self.push(Object::Other),
            b'G' => {
                self.take(8)?;
                self.push(Object::Other);
            }
            // BINUNICODE, SHORT_BINUNICODE.
            b'X' | 0x8c => {
                let text = String::from_utf8_lossy(self.take(length)?).into_owned();
                self.push(Object::Text(text));
            }
            // (SHORT_)BINBYTES, and the strings of Python 2.
            b'B' | b'T' | b'C' | b'U' => {
                self.take(length)?;
                self.push(Object::Other);
            }
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE.
            b')' => self.push(Object::Tuple(Vec::new())),
            0x85..=0x87 => {
                let length = usize::from(opcode - 0x84);
                let mut elements = (0..length)
                    .map(|_| self.pop())
                    .collect::<Result<Vec<_>, _>>()?;
                elements.reverse();
                self.push(Object::Tuple(elements));
            }
            b't' => {
                let elements = self.pop_to_mark()?;
                self.push(Object::Tuple(elements));
            }
            // EMPTY_LIST, EMPTY_SET, LIST, APPEND, APPENDS, ADDITEMS: no tensor is made of a list.
            b']' | 0x8f => self.push(Object::Other),
            b'l' => {
                self.pop_to_mark()?;
                self.push(Object::Other);
            }
            b'a' => drop(self.pop()?),
            b'e' | 0x90 => drop(self.pop_to_mark()?),
            // EMPTY_DICT, DICT, SETITEM, SETITEMS.
            b'}' => self.push(Object::Dict(Vec::new())),
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Object::Dict(pairs(&items)));
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)?;
            }
            // GLOBAL, STACK_GLOBAL.
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.push(Object::Global(module, name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                self.push(Object::Global(module, name));
            }
            // REDUCE, NEWOBJ, BUILD, BINPERSID.
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let dict = self.is_dict(callable);
                self.push(if dict {
                    Object::Dict(Vec::new())
                } else {
                    Object::Call(callable, arguments)
                });
            }
            // State besides the items, such as the `_metadata` of a state dict.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let key = self.pop()?;
                self.push(Object::Persistent(key));
            }
            other => return Err(format!("its pickle has the unknown opcode {other:#04x}")),
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<&[u8], String> {
        let (taken, rest) = self
            .program
            .split_at_checked(length)
            .ok_or("its pickle ends early")?;
        self.program = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self
            .program
            .split_first_chunk()
            .ok_or("its pickle ends early")?;
        self.program = rest;
        Ok(*taken)
    }

    /// The text up to the end of the line.
    fn line(&mut self) -> Result<Id, String> {
        let end = self.program.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or("its pickle ends early")? + 1)?;
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        Ok(self.keep(Object::Text(text)))
    }

    /// Whether calling `callable` gives an empty dict.
    fn is_dict(&self, callable: Id) -> bool {
        let is = |id: Id, expected: &[&str]| match &self.objects[id] {
            Object::Text(text) => expected.contains(&text.as_str()),
            _ => false,
        };
        match self.objects[callable] {
            Object::Global(module, name) => {
                is(module, &["collections"]) && is(name, &["OrderedDict", "defaultdict"])
            }
            _ => false,
        }
    }

    fn keep(&mut self, object: Object) -> Id {
        self.objects.push(object);
        self.objects.len() - 1
    }

    fn push(&mut self, object: Object) {
        let id = self.keep(object);
        self.stack.push(Some(id));
    }

    fn top(&self) -> Result<Id, String> {
        let top = self.stack.last().copied().flatten();
        top.ok_or_else(|| "its pickle takes an object where there is none".to_owned())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.stack.iter().rposition(Option::is_none);
        let mark = mark.ok_or("its pickle takes a mark where there is none")?;
        let objects = self.stack.drain(mark..).flatten().collect();
        Ok(objects)
    }

    fn remember(&mut self, key: u32) -> Result<(), String> {
        self.memo.insert(key, self.top()?);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let id = self.memo.get(&key);
        let id = id.ok_or("its pickle recalls an object that it has not kept")?;
        self.stack.push(Some(*id));
        Ok(())
    }

    /// Adds keys and values in turn to the dict on top; items of anything else are of no interest.
    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        if let Object::Dict(dict) = &mut self.objects[top] {
            dict.extend(pairs(items));
        }
        Ok(())
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect()
}

/// A little-endian integer in two's complement, where 64 bits hold it.
fn long(bytes: &[u8]) -> Option<i64> {
    let sign = bytes
        .last()
        .map_or(0, |&last| if last < 0x80 { 0 } else { 0xff });
    let mut extended = [sign; 8];
    extended.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(extended))
}
