//! Golden texts of every view.
