//! Python's pickle as far as `torch.save` uses it, without running any of it.
//!
//! A pickle is a program for a machine with a stack and a memo. Classes and calls are kept as what
//! they are, never resolved. Objects lie side by side and refer to each other by number and are
//! never copied, so that the memory is bounded by the length of the program and no depth of nesting
//! overflows the stack.

mod machine;

use machine::Machine;

/// Number of an object.
pub(super) type Id = usize;

/// One Python object.
#[derive(Debug)]
pub(super) enum Object {
    Text(String),
    Int(i64),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or a function: texts of its module and its name.
    Global(Id, Id),
    /// What calling an object with a tuple of arguments would give.
    Call(Id, Id),
    /// What the file keeps elsewhere under this key.
    Persistent(Id),
    /// A value that no tensor is made of.
    Other,
}

/// The objects of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    root: Id,
}

impl Pickle {
    /// Runs the program; says in a few words what is wrong with it.
    pub(super) fn parse(program: &[u8]) -> Result<Self, String> {
        let (objects, root) = Machine::new(program).run()?;
        Ok(Self { objects, root })
    }

    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Object {
        &self.objects[id]
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A size or an offset.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match *self.get(id) {
            Object::Int(value) => value.try_into().ok(),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    pub(super) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Object::Dict(items) => Some(items),
            _ => None,
        }
    }

    /// Module and name of a class or a function.
    pub(super) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match *self.get(id) {
            Object::Global(module, name) => Some((self.text(module)?, self.text(name)?)),
            _ => None,
        }
    }
}
