//! An agent's JSON, indented and otherwise as it came: order of keys and every digit stay.

/// One step of indentation.
const STEP: &str = "  ";

/// Indents compact JSON. A text that is no JSON comes out changed in white space only.
pub fn pretty(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut inside, mut escaped) = (0_usize, false, false);
    let mut rest = text.trim().chars().peekable();
    while let Some(c) = rest.next() {
        if inside {
            out.push(c);
            inside = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                inside = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|c| c.is_whitespace()).is_some() {}
                if let Some(end) = rest.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    (0..depth).for_each(|_| out.push_str(STEP));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn is_what_the_library_makes_of_the_same_value(value in values()) {
            let wanted = format!("{value:#}\n");
            prop_assert_eq!(pretty(&value.to_string()), wanted.clone());
            prop_assert_eq!(pretty(&wanted), wanted);
        }
    }

    #[test]
    fn keys_stay_in_their_order() {
        assert_eq!(
            pretty(r#"{"b":1,"a":[],"c":{"x":"{,}"}}"#),
            "{\n  \"b\": 1,\n  \"a\": [],\n  \"c\": {\n    \"x\": \"{,}\"\n  }\n}\n"
        );
    }
}
