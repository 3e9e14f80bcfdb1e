//! The store against both databases: units of work, retries, crashes between writes.
