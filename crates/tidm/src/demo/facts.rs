//! The names by which the steps know what earlier steps made.

/// What was published.
#[derive(Clone, Debug)]
pub(crate) struct Products {
    pub(crate) scada: String,
    pub(crate) cad: String,
    pub(crate) query_offer: String,
    pub(crate) table_offer: String,
    /// Columns of the table as the node named them.
    pub(crate) turbine: String,
    pub(crate) power: String,
    pub(crate) wind: String,
    pub(crate) rows: u64,
}

/// What was signed; a contract has one id on both sides.
#[derive(Clone, Debug)]
pub(crate) struct Contracts {
    pub(crate) query: String,
    pub(crate) table: String,
    pub(crate) file: String,
}
