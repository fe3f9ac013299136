//! Python's pickle, without running any of it.
//!
//! A pickle is a program for a machine with a stack and a memo. Classes and calls are kept as what
//! they are, never resolved. Objects lie side by side and refer to each other by number and are
//! never copied, so that the memory is bounded by the length of the program and no depth of nesting
//! overflows the stack.

mod machine;

use std::borrow::Cow;

use crate::Error;

use machine::Machine;

/// Number of an object.
pub type Id = usize;

/// One Python object.
#[derive(Debug)]
pub enum Object {
    /// A text, also one of Python 2.
    Text(String),
    /// Bytes; of Python 2, those that are no text.
    Bytes(Vec<u8>),
    /// An integer of 64 bits, or a truth value.
    Int(i64),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dict, in its order.
    Dict(Vec<(Id, Id)>),
    /// A class or a function: texts of its module and its name.
    Global(Id, Id),
    /// What a call would give.
    Instance(Box<Instance>),
    /// What the file keeps elsewhere under this key.
    Persistent(Id),
    /// Any other value: none, a float, a set.
    Other,
}

/// What calling a class or a function would give, and what is then done to it.
#[derive(Debug)]
pub struct Instance {
    /// Class or function.
    pub callable: Id,
    /// Tuple of arguments.
    pub arguments: Id,
    /// Items set, as of a subclass of a dict.
    pub items: Vec<(Id, Id)>,
    /// State set, as a rule the dict of its attributes.
    pub state: Option<Id>,
}

/// An array of NumPy, as a pickle describes it: it may have another number of bytes than its shape says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickledArray<'p> {
    /// Kind and size of an element as NumPy writes them, such as `f4` and `i8`.
    pub elements: &'p str,
    /// Extents.
    pub shape: Vec<usize>,
    /// Whether the first index is the one that changes from element to element, instead of the last.
    pub is_column_major: bool,
    /// The object that has its bytes, which several arrays may share.
    pub bytes: Id,
}

/// The objects of a pickle.
#[derive(Debug)]
pub struct Pickle {
    objects: Vec<Object>,
    root: Id,
}

impl Pickle {
    /// The first pickle of `bytes`, and the bytes behind it.
    ///
    /// # Errors
    /// A program that ends early, has unknown opcodes, or takes what is not there.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let mut machine = Machine::new(bytes);
        let root = machine.run()?;
        let (objects, rest) = machine.end();
        Ok((Self { objects, root }, rest))
    }

    /// The object that the program is for.
    #[must_use]
    pub fn root(&self) -> Id {
        self.root
    }

    /// All objects, by number.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The object of this number.
    #[must_use]
    pub fn get(&self, id: Id) -> &Object {
        &self.objects[id]
    }

    /// A text.
    #[must_use]
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes, or those of a text; up to protocol 2 Python 3 has them made by a call.
    #[must_use]
    pub fn bytes(&self, id: Id) -> Option<Cow<'_, [u8]>> {
        match self.get(id) {
            Object::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
            Object::Text(text) => Some(Cow::Borrowed(text.as_bytes())),
            Object::Instance(made) => {
                match (self.global(made.callable)?, self.elements(made.arguments)?) {
                    (("_codecs", "encode"), &[text, _]) => {
                        let latin = self
                            .text(text)?
                            .chars()
                            .map(|letter| u8::try_from(letter).ok());
                        Some(Cow::Owned(latin.collect::<Option<Vec<u8>>>()?))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What a call would give.
    #[must_use]
    pub fn instance(&self, id: Id) -> Option<&Instance> {
        match self.get(id) {
            Object::Instance(made) => Some(made),
            _ => None,
        }
    }

    /// A NumPy array of little-endian numbers.
    #[must_use]
    pub fn array(&self, id: Id) -> Option<PickledArray<'_>> {
        let made = self.instance(id)?;
        let (shape, dtype, is_column_major, bytes) = match self.global(made.callable)? {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                let &[_, shape, dtype, order, bytes] = self.elements(made.state?)? else {
                    return None;
                };
                (shape, dtype, self.size(order)? == 1, bytes)
            }
            // From protocol 5 on.
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => {
                let &[bytes, dtype, shape, order] = self.elements(made.arguments)? else {
                    return None;
                };
                (shape, dtype, self.text(order)? == "F", bytes)
            }
            _ => return None,
        };
        let dtype = self.instance(dtype)?;
        let elements = self.text(*self.elements(dtype.arguments)?.first()?)?;
        // Its state is a version, the order of the bytes, and more.
        let order = dtype.state.and_then(|state| self.elements(state)?.get(1));
        let is_big_endian = order.is_some_and(|&order| self.text(order) == Some(">"));
        let shape = self.elements(shape)?.iter().map(|&size| self.size(size));
        let array = PickledArray {
            elements,
            shape: shape.collect::<Option<Vec<usize>>>()?,
            is_column_major,
            bytes,
        };
        (!is_big_endian).then_some(array)
    }

    /// A size or an offset.
    #[must_use]
    pub fn size(&self, id: Id) -> Option<usize> {
        match *self.get(id) {
            Object::Int(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// The elements of a tuple or a list; a `torch.Size` is the tuple that it is made of.
    #[must_use]
    pub fn elements(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::Tuple(elements) | Object::List(elements) => Some(elements),
            Object::Instance(made) => match (self.global(made.callable)?, self.get(made.arguments))
            {
                (("torch", "Size"), Object::Tuple(arguments)) => {
                    match *self.get(*arguments.first()?) {
                        Object::Tuple(ref elements) => Some(elements),
                        _ => None,
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The items of a dict or of what behaves like one; an ordered dict of Python 2 is made of a list of pairs.
    #[must_use]
    pub fn items(&self, id: Id) -> Vec<(Id, Id)> {
        let made = match self.get(id) {
            Object::Dict(items) => return items.clone(),
            Object::Instance(made) => made,
            _ => return Vec::new(),
        };
        let mut items = made.items.clone();
        let argument = self
            .elements(made.arguments)
            .and_then(|arguments| arguments.first());
        if let (Some((_, "OrderedDict")), Some(&pairs)) = (self.global(made.callable), argument) {
            let pair = |&pair: &Id| match self.elements(pair)? {
                &[key, value] => Some((key, value)),
                _ => None,
            };
            items.extend(
                self.elements(pairs)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(pair),
            );
        }
        items
    }

    /// Module and name of a class or a function.
    #[must_use]
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match *self.get(id) {
            Object::Global(module, name) => Some((self.text(module)?, self.text(name)?)),
            _ => None,
        }
    }
}
