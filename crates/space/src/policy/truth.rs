//! Kleene's three truth values, and comparisons.
//!
//! Never collapses "not known" into either of the others; whoever acts on it denies (decision D5).

/// The order is that of `and`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    pub fn of(it: bool) -> Self {
        if it { Self::Yes } else { Self::No }
    }

    /// `None`: the fact is not known.
    pub fn known(it: Option<bool>) -> Self {
        it.map_or(Self::Unknown, Self::of)
    }

    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::Unknown => Self::Unknown,
            Self::No => Self::Yes,
        }
    }

    pub fn all(them: impl IntoIterator<Item = Self>) -> Self {
        them.into_iter().min().unwrap_or(Self::Yes)
    }

    pub fn any(them: impl IntoIterator<Item = Self>) -> Self {
        them.into_iter().max().unwrap_or(Self::No)
    }

    /// Exactly one (ODRL `xone`): two that hold settle it, whatever is not known.
    pub fn one(them: impl IntoIterator<Item = Self>) -> Self {
        let (mut yes, mut unknown) = (0_u32, false);
        for it in them {
            yes = yes.saturating_add(u32::from(it == Self::Yes));
            unknown |= it == Self::Unknown;
        }
        match (yes, unknown) {
            (2.., _) => Self::No,
            (_, true) => Self::Unknown,
            (it, false) => Self::of(it == 1),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cmp {
    Lt,
    Lteq,
    Gt,
    Gteq,
    Eq,
    Neq,
}

impl Cmp {
    pub fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Lt => left < right,
            Self::Lteq => left <= right,
            Self::Gt => left > right,
            Self::Gteq => left >= right,
            Self::Eq => left == right,
            Self::Neq => left != right,
        }
    }
}
