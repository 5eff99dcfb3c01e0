//! Text that is shared: several pieces of one allocation, each of which keeps the whole.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A piece of a shared text. Compares, hashes and shows itself as the text it stands for.
#[derive(Clone, Default)]
pub(crate) struct SharedStr {
    whole: Arc<str>,
    range: Range<usize>,
}

impl SharedStr {
    /// `length` bytes of `whole` from `start` on; nothing if there are none such.
    pub(crate) fn piece(whole: &Arc<str>, start: usize, length: usize) -> Self {
        Self { whole: Arc::clone(whole), range: start..start.saturating_add(length) }
    }
}

impl Deref for SharedStr {
    type Target = str;

    fn deref(&self) -> &str {
        self.whole.get(self.range.clone()).unwrap_or_default()
    }
}

impl<T: Into<Arc<str>>> From<T> for SharedStr {
    fn from(text: T) -> Self {
        let whole = text.into();
        Self { range: 0..whole.len(), whole }
    }
}

impl PartialEq for SharedStr {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SharedStr {}

impl Hash for SharedStr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_as_good_as_a_text_of_its_own() {
        let whole: Arc<str> = "one two".into();
        let two = SharedStr::piece(&whole, 4, 3);
        assert_eq!((&*two, &two), ("two", &SharedStr::from("two")));
        assert_eq!(format!("{two:?}"), "\"two\"");
    }

    #[test]
    fn a_piece_that_is_not_there_is_empty() {
        let whole: Arc<str> = "ä".into();
        for (start, length) in [(0, 1), (1, 1), (0, 3), (3, 0), (usize::MAX, 2)] {
            assert_eq!(&*SharedStr::piece(&whole, start, length), "", "{length} from {start}");
        }
    }
}
