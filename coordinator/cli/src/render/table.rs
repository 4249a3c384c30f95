//! Aligned columns. Knows widths, not meanings.

/// A table under construction: a heading and rows of the same length.
#[derive(Debug, Clone)]
pub struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// Between two columns.
const GAP: &str = "  ";

/// What stands in a cell that has nothing to say, so that columns can be cut by scripts.
const NOTHING: &str = "-";

impl Table {
    /// A table with these columns.
    pub fn new<const N: usize>(heading: [&'static str; N]) -> Self {
        Self { heading: heading.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let shown = |cell: String| if cell.is_empty() { NOTHING.to_owned() } else { cell.replace('\n', " ") };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// The text, one line a row; the last column is not padded.
    pub fn text(&self) -> String {
        let heading: Vec<String> = self.heading.iter().map(|h| (*h).to_owned()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&heading).chain(&self.rows).collect();
        let width = |at: usize| lines.iter().filter_map(|l| l.get(at)).map(|c| c.chars().count()).max();
        let widths: Vec<usize> = (0..heading.len()).map(|at| width(at).unwrap_or(0)).collect();
        let mut text = String::new();
        for line in lines {
            let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(padded.collect::<Vec<_>>().join(GAP).trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_nothing_trails() {
        let mut table = Table::new(["NAME", "A", "LAST"]);
        table.row(["n1".into(), String::new(), "x".into()]);
        table.row(["a-long-name".into(), "22".into(), "two\nlines".into()]);
        assert_eq!(table.text(), "NAME         A   LAST\nn1           -   x\na-long-name  22  two lines\n");
    }
}
