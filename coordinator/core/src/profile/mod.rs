//! Product knowledge as data.
