//! The stack machine that a pickle is a program for.
//!
//! Source: CPython's `pickletools.py`, all opcodes of protocols 0 to 5.

use std::collections::HashMap;

use super::{Id, Instance, Object};
use crate::Error;

/// Number of the one [`Object::Other`].
const OTHER: Id = 0;

/// Most objects, and most on the stack at a time: a hundred times those of a large training state.
const MAX_OBJECTS: usize = 1 << 24;

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
            objects: vec![Object::Other],
            stack: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs the program; the number of the object that it is for.
    pub(super) fn run(&mut self) -> Result<Id, Error> {
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
            if self.objects.len().max(self.stack.len()) > MAX_OBJECTS {
                return Err(Error::Pickle("has more objects than any checkpoint"));
            }
        }
    }

    /// All objects, and what stands behind the program.
    pub(super) fn end(self) -> (Vec<Object>, &'p [u8]) {
        (self.objects, self.program)
    }

    fn step(&mut self, opcode: u8) -> Result<(), Error> {
        // What stands behind the opcode: a key, a number, or the length of what follows.
        let argument: u32 = match opcode {
            0x80 | b'q' | b'h' | b'K' | 0x82 | 0x8a | 0x8c | b'C' | b'U' => self.byte()?.into(),
            b'M' | 0x83 => self.array().map(u16::from_le_bytes)?.into(),
            b'r' | b'j' | b'J' | b'X' | b'B' | b'T' | 0x84 | 0x8b => {
                self.array().map(u32::from_le_bytes)?
            }
            _ => 0,
        };
        let length = match opcode {
            0x8d | 0x8e | 0x96 => {
                let length = self.array().map(u64::from_le_bytes)?;
                usize::try_from(length).map_err(|_| Error::PickleEnd)?
            }
            _ => argument as usize,
        };
        match opcode {
            // PROTO, FRAME, READONLY_BUFFER: nothing to do.
            0x80 | 0x98 => {}
            0x95 => drop(self.take(8)?),
            // MARK, POP, POP_MARK, DUP.
            b'(' => self.stack.push(None),
            b'0' => drop(self.stack.pop()),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(Some(top));
            }
            // The memo: (LONG_)BINPUT, MEMOIZE, PUT, (LONG_)BINGET, GET.
            b'q' | b'r' => self.remember(argument)?,
            0x94 => self.remember(self.memo.len() as u32)?,
            b'p' => {
                let key = self.key()?;
                self.remember(key)?;
            }
            b'h' | b'j' => self.recall(argument)?,
            b'g' => {
                let key = self.key()?;
                self.recall(key)?;
            }
            // Integers: BININT, BININT1, BININT2, LONG1, LONG4, INT and LONG.
            b'J' => self.push(Object::Int(argument.cast_signed().into())),
            b'K' | b'M' => self.push(Object::Int(argument.into())),
            0x8a | 0x8b => {
                let value = long(self.take(length)?);
                self.push(value.map_or(Object::Other, Object::Int));
            }
            b'I' | b'L' => {
                let text = self.line()?;
                let value = text.trim_end_matches('L').parse();
                self.push(value.map_or(Object::Other, Object::Int));
            }
            // NEWTRUE, NEWFALSE.
            0x88 | 0x89 => self.push(Object::Int((opcode == 0x88).into())),
            // NONE, EMPTY_SET, NEXT_BUFFER, EXT1, EXT2, EXT4, BINFLOAT, FLOAT.
            b'N' | 0x8f | 0x97 | 0x82..=0x84 => self.push(Object::Other),
            b'G' => {
                self.take(8)?;
                self.push(Object::Other);
            }
            b'F' => {
                self.line()?;
                self.push(Object::Other);
            }
            // BINUNICODE(8), SHORT_BINUNICODE.
            b'X' | 0x8c | 0x8d => {
                let text = String::from_utf8_lossy(self.take(length)?).into_owned();
                self.push(Object::Text(text));
            }
            // The (SHORT_)BINSTRING of Python 2: texts, and whatever else are bytes.
            b'T' | b'U' => {
                let bytes = self.take(length)?;
                let text = str::from_utf8(bytes).map(|text| Object::Text(text.to_owned()));
                self.push(text.unwrap_or_else(|_| Object::Bytes(bytes.to_owned())));
            }
            // UNICODE; STRING, which stands in quotes.
            b'V' => {
                let text = self.line()?;
                self.push(Object::Text(text));
            }
            b'S' => {
                let text = self.line()?.trim_matches(['\'', '"']).to_owned();
                self.push(Object::Text(text));
            }
            // (SHORT_)BINBYTES(8), BYTEARRAY8.
            b'B' | b'C' | 0x8e | 0x96 => {
                let bytes = self.take(length)?.to_owned();
                self.push(Object::Bytes(bytes));
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
            // EMPTY_LIST, LIST, APPEND, APPENDS; ADDITEMS and FROZENSET, of sets.
            b']' => self.push(Object::List(Vec::new())),
            b'l' => {
                let elements = self.pop_to_mark()?;
                self.push(Object::List(elements));
            }
            b'a' => {
                let element = self.pop()?;
                self.append(&[element])?;
            }
            b'e' => {
                let elements = self.pop_to_mark()?;
                self.append(&elements)?;
            }
            0x90 => drop(self.pop_to_mark()?),
            0x91 => {
                self.pop_to_mark()?;
                self.push(Object::Other);
            }
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
                let callable = self.named()?;
                self.stack.push(Some(callable));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                self.push(Object::Global(module, name));
            }
            // REDUCE and NEWOBJ, NEWOBJ_EX, INST, OBJ.
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments);
            }
            0x92 => {
                let (_, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, arguments);
            }
            b'i' => {
                let callable = self.named()?;
                let arguments = self.pop_to_mark()?;
                let arguments = self.keep(Object::Tuple(arguments));
                self.call(callable, arguments);
            }
            b'o' => {
                let objects = self.pop_to_mark()?;
                let class = Error::Pickle("makes an object of no class");
                let (&callable, arguments) = objects.split_first().ok_or(class)?;
                let arguments = self.keep(Object::Tuple(arguments.to_vec()));
                self.call(callable, arguments);
            }
            // BUILD: what has no attributes has no state that matters here.
            b'b' => {
                let (state, top) = (self.pop()?, self.top()?);
                if let Object::Instance(made) = &mut self.objects[top] {
                    made.state = Some(state);
                }
            }
            // BINPERSID, PERSID.
            b'Q' => {
                let key = self.pop()?;
                self.push(Object::Persistent(key));
            }
            b'P' => {
                let key = self.line()?;
                let key = self.keep(Object::Text(key));
                self.push(Object::Persistent(key));
            }
            other => return Err(Error::Opcode(other)),
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<&'p [u8], Error> {
        let split = self.program.split_at_checked(length);
        let (taken, rest) = split.ok_or(Error::PickleEnd)?;
        self.program = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.program.split_first_chunk().ok_or(Error::PickleEnd)?;
        self.program = rest;
        Ok(*taken)
    }

    /// The text up to the end of the line.
    fn line(&mut self) -> Result<String, Error> {
        let end = self.program.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or(Error::PickleEnd)? + 1)?;
        Ok(String::from_utf8_lossy(line).trim_end().to_owned())
    }

    /// A key of the memo, in decimal digits.
    fn key(&mut self) -> Result<u32, Error> {
        let key = self.line()?.parse();
        key.map_err(|_| Error::Pickle("has a key that is no number"))
    }

    /// A class or a function: two lines.
    fn named(&mut self) -> Result<Id, Error> {
        let [module, name] = [self.line()?, self.line()?].map(Object::Text);
        let (module, name) = (self.keep(module), self.keep(name));
        Ok(self.keep(Object::Global(module, name)))
    }

    fn call(&mut self, callable: Id, arguments: Id) {
        self.push(Object::Instance(Box::new(Instance {
            callable,
            arguments,
            items: Vec::new(),
            state: None,
        })));
    }

    fn keep(&mut self, object: Object) -> Id {
        // There are as many as instructions, so that they are one.
        if matches!(object, Object::Other) {
            return OTHER;
        }
        self.objects.push(object);
        self.objects.len() - 1
    }

    fn push(&mut self, object: Object) {
        let id = self.keep(object);
        self.stack.push(Some(id));
    }

    fn top(&self) -> Result<Id, Error> {
        let top = self.stack.last().copied().flatten();
        top.ok_or(Error::Pickle("takes an object where there is none"))
    }

    fn pop(&mut self) -> Result<Id, Error> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Error> {
        let mark = self.stack.iter().rposition(Option::is_none);
        let mark = mark.ok_or(Error::Pickle("takes a mark where there is none"))?;
        let objects = self.stack.drain(mark..).flatten().collect();
        Ok(objects)
    }

    fn remember(&mut self, key: u32) -> Result<(), Error> {
        self.memo.insert(key, self.top()?);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), Error> {
        let id = self.memo.get(&key);
        let id = id.ok_or(Error::Pickle("recalls an object that it has not kept"))?;
        self.stack.push(Some(*id));
        Ok(())
    }

    /// Appends to the list on top; elements of anything else are of no interest.
    fn append(&mut self, elements: &[Id]) -> Result<(), Error> {
        let top = self.top()?;
        if let Object::List(list) = &mut self.objects[top] {
            list.extend(elements);
        }
        Ok(())
    }

    /// Adds keys and values in turn to what is on top; items of what can have none are of no interest.
    fn set(&mut self, items: &[Id]) -> Result<(), Error> {
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::Dict(dict) => dict.extend(pairs(items)),
            Object::Instance(made) => made.items.extend(pairs(items)),
            _ => {}
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
