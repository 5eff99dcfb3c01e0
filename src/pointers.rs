//! Implements a trait for `Arc<T>` and `Box<T>`, so that applications can share a plug-in or choose it at run time.

/// Takes a trait and its methods, each of which calls that of `T`.
macro_rules! pointers {
    (impl $name:ident { $($methods:tt)* }) => {
        impl<T: $name + ?Sized> $name for std::sync::Arc<T> { $($methods)* }
        impl<T: $name + ?Sized> $name for Box<T> { $($methods)* }
    };
}

pub(crate) use pointers;
