//! The pages of `deploy/errors`, embedded. Knows their form (title, **Meaning.**, **Cause.**, **Remedy.**), not their
//! content.

/// Code and text of every page, sorted by code.
pub const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of a code, whatever its case, or of the word that is a page's whole title (`forgotten-node` of LK5202):
/// databases are refused in words, and people type what they read.
pub fn page(code: &str) -> Option<&'static str> {
    let titled = |(name, text): &&(&str, &str)| {
        let title = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# ")?.strip_prefix(name)?.strip_prefix(": "));
        title.is_some_and(|title| title.eq_ignore_ascii_case(code))
    };
    let named = PAGES.iter().find(|(name, _)| name.eq_ignore_ascii_case(code));
    named.or_else(|| PAGES.iter().find(titled)).map(|(_, text)| *text)
}

/// What a code's page tells to do, as one line; none without a page or without such a part.
pub fn remedy(code: &str) -> Option<String> {
    part(page(code)?, "Remedy")
}

/// One part of a page, its line breaks folded.
fn part(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("**{name}.**"))?;
    let text = rest.split("\n\n").next().unwrap_or(rest);
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!folded.is_empty()).then_some(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_its_remedy_in_one_line() {
        let text = "# LK1: a\n\n**Meaning.** b\n\n**Remedy.** Do this\nand that.\n\nMore.\n";
        assert_eq!(part(text, "Remedy").as_deref(), Some("Do this and that."));
        assert_eq!(part(text, "Cause"), None);
        assert!(page("lk4012").is_some_and(|text| text.starts_with("# LK4012")));
        assert!(remedy("LK4012").is_some_and(|text| !text.contains('\n')));
        assert_eq!(page("nonesuch"), None);
        assert!(page("Member-Lost").is_some_and(|text| text.starts_with("# member-lost")));
        assert!(page("forgotten-node").is_some_and(|text| text.starts_with("# LK5202")));
    }
}
