//! `Debug` for types that hold secrets.

/// Implements `Debug` so that it shows the name of the type and none of its content.
macro_rules! redacted {
    ($($name:ident $(<$lifetime:lifetime>)?),+) => {
        $(impl std::fmt::Debug for $name $(<$lifetime>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        })+
    };
}

pub(crate) use redacted;
