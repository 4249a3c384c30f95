//! Names and literals inside statements that take no parameters.

/// A name, quoted.
pub fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text literal, quoted whatever the server's string settings are.
pub fn literal(text: &str) -> String {
    let body = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{body}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(name("a\"; drop role x; --"), "\"a\"\"; drop role x; --\"");
        assert_eq!(literal("a'; drop role x; --\\'"), "E'a''; drop role x; --\\\\'''");
    }
}
