//! Jobs: parts, journal, workers.
