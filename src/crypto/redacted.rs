//! `Debug` for what must not be shown.

/// Shows the name of the type and nothing of what is in it.
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
