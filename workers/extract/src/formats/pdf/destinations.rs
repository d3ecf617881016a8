//! Where in a document something leads: pages by their objects, and the names that files give to places.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use hayro_syntax::Pdf;
use hayro_syntax::object::{
    Array, Dict, MaybeRef, Name, Object, ObjectIdentifier, String as PdfString,
};

/// Most names that are looked through.
const MAX_NAMES: usize = 50_000;

/// Deepest tree of names.
const MAX_DEPTH: usize = 32;

/// The destinations of one document.
pub(super) struct Destinations<'a> {
    pdf: &'a Pdf,
    pages: HashMap<ObjectIdentifier, u32>,
    named: OnceCell<HashMap<Vec<u8>, u32>>,
}

impl<'a> Destinations<'a> {
    /// Those of `pdf`.
    pub(super) fn new(pdf: &'a Pdf) -> Self {
        let numbered = pdf.pages().iter().zip(1..);
        Self {
            pdf,
            pages: numbered
                .filter_map(|(page, number)| Some((page.raw().obj_id()?, number)))
                .collect(),
            named: OnceCell::new(),
        }
    }

    /// The number of the page with the object `id`.
    pub(super) fn page(&self, id: ObjectIdentifier) -> Option<u32> {
        self.pages.get(&id).copied()
    }

    /// The page that an outline entry or an annotation leads to.
    pub(super) fn of(&self, dictionary: &Dict<'_>) -> Option<u32> {
        if let Some(target) = dictionary.get::<Object<'_>>(b"Dest") {
            return self.resolve(&target);
        }
        let action = dictionary.get::<Dict<'_>>(b"A")?;
        let is_here = action
            .get::<Name<'_>>(b"S")
            .is_some_and(|kind| *kind == *b"GoTo");
        self.resolve(&action.get::<Object<'_>>(b"D").filter(|_| is_here)?)
    }

    fn resolve(&self, target: &Object<'_>) -> Option<u32> {
        match target {
            Object::Name(name) => self.named().get(&**name).copied(),
            Object::String(name) => self.named().get(name.as_bytes()).copied(),
            other => self.explicit(other),
        }
    }

    /// `[page /XYZ ...]`, or a dictionary around it.
    fn explicit(&self, target: &Object<'_>) -> Option<u32> {
        let array = match target {
            Object::Array(array) => array.clone(),
            Object::Dict(dictionary) => dictionary.get::<Array<'_>>(b"D")?,
            _ => return None,
        };
        match array.raw_iter().next()? {
            MaybeRef::Ref(page) => self.page(page.into()),
            // Some writers count pages, from 0.
            MaybeRef::NotRef(Object::Number(index)) => {
                let number = u32::try_from(index.as_i64()).ok()?.checked_add(1)?;
                (number as usize <= self.pdf.pages().len()).then_some(number)
            }
            MaybeRef::NotRef(_) => None,
        }
    }

    fn named(&self) -> &HashMap<Vec<u8>, u32> {
        self.named.get_or_init(|| {
            let mut names = HashMap::new();
            let Some(catalog) = catalog(self.pdf) else {
                return names;
            };
            let dictionary = catalog.get::<Dict<'_>>(b"Dests").unwrap_or_default();
            names.extend(dictionary.keys().take(MAX_NAMES).filter_map(|key| {
                let target = dictionary.get::<Object<'_>>(&*key)?;
                Some((key.to_vec(), self.explicit(&target)?))
            }));
            let tree = catalog
                .get::<Dict<'_>>(b"Names")
                .and_then(|names| names.get::<Dict<'_>>(b"Dests"));
            if let Some(tree) = tree {
                self.read_tree(&tree, 0, &mut HashSet::new(), &mut names);
            }
            names
        })
    }

    fn read_tree(
        &self,
        node: &Dict<'_>,
        depth: usize,
        seen: &mut HashSet<ObjectIdentifier>,
        names: &mut HashMap<Vec<u8>, u32>,
    ) {
        if depth > MAX_DEPTH || names.len() > MAX_NAMES {
            return;
        }
        if let Some(pairs) = node.get::<Array<'_>>(b"Names") {
            let mut pairs = pairs.iter::<Object<'_>>().take(2 * MAX_NAMES);
            while let (Some(name), Some(target)) = (pairs.next(), pairs.next()) {
                if let (Some(name), Some(page)) = (text_of(name), self.explicit(&target)) {
                    names.insert(name, page);
                }
            }
        }
        for (id, kid) in node
            .get::<Array<'_>>(b"Kids")
            .iter()
            .flat_map(|kids| dictionaries(self.pdf, kids))
        {
            if id.is_none_or(|id| seen.insert(id)) {
                self.read_tree(&kid, depth + 1, seen, names);
            }
        }
    }
}

fn text_of(name: Object<'_>) -> Option<Vec<u8>> {
    name.into_string()
        .map(|name: PdfString<'_>| name.as_bytes().to_vec())
}

/// The dictionaries of an array, each with its number if it is an object of its own.
pub(super) fn dictionaries<'a>(
    pdf: &'a Pdf,
    array: &Array<'a>,
) -> impl Iterator<Item = (Option<ObjectIdentifier>, Dict<'a>)> {
    array.raw_iter().filter_map(|item| match item {
        MaybeRef::Ref(reference) => {
            let id = ObjectIdentifier::from(reference);
            Some((Some(id), pdf.xref().get::<Dict<'a>>(id)?))
        }
        MaybeRef::NotRef(object) => Some((None, object.into_dict()?)),
    })
}

/// The dictionary that everything else hangs on.
pub(super) fn catalog(pdf: &Pdf) -> Option<Dict<'_>> {
    pdf.xref().get::<Dict<'_>>(pdf.xref().root_id())
}
