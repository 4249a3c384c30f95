//! "Did you mean": the nearest of some words.

/// The closest of `words` to `found`, if it is close enough to be a slip of the pen.
pub fn closest<'w>(found: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let limit = (found.chars().count() / 3).clamp(1, 3);
    words
        .into_iter()
        .map(|word| (distance(found, word), word))
        .filter(|(d, word)| *d <= limit || (word.len() >= 4 && found.len() >= 4 && related(found, word)))
        .min()
        .map(|(_, word)| word)
}

/// One holds the other, as in `command` and `upgrade-command`.
fn related(a: &str, b: &str) -> bool {
    a.contains(b) || b.contains(a)
}

/// Edits between two words; swapping neighbours counts once.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(ca != cb)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *cb && *ca == b[j - 1] {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        assert_eq!(closest("addres", ["address", "labels"]), Some("address"));
        assert_eq!(closest("darin", ["drain", "admit"]), Some("drain"));
        assert_eq!(closest("colour", ["address", "labels"]), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
