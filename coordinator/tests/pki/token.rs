//! The join token's text: what is written is read, and nothing else.

use lockkeeper_coordinator::pki::{JoinToken, TokenError, TokenSecret};
use lockkeeper_core::ids::{ClusterId, Digest, MemberName};
use lockkeeper_core::time::LogTime;
use lockkeeper_proto::transport::CaDigest;

/// Format 1, for ever: a release that cannot read this text breaks tokens that are under way.
const GOLDEN: &str = include_str!("golden/join-token-v1.txt");

fn token() -> JoinToken {
    JoinToken {
        cluster: ClusterId("0192f0c1-aaaa".into()),
        addresses: vec!["10.77.0.11:7440".into(), "[fd00::12]:7440".into()],
        authority: CaDigest::of(b"a root"),
        member: MemberName::new("n4").unwrap(),
        secret: TokenSecret::generate(),
        expires: LogTime(1_790_000_000_000),
    }
}

#[test]
fn what_is_written_is_read() {
    let token = token();
    let text = token.to_text().unwrap();
    assert!(text.starts_with("lkj1_"));
    assert!(text.len() < 300, "{} characters are too many to paste", text.len());
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    assert_eq!(JoinToken::parse(&text).unwrap(), token);
    assert_eq!(JoinToken::parse(&format!("  {text}\r\n")).unwrap(), token);
    assert_ne!(token.token_hash(), self::token().token_hash());
}

#[test]
fn the_first_format_is_read_for_ever() {
    let token = JoinToken::parse(GOLDEN).unwrap();
    assert_eq!(token.cluster, ClusterId("0192f0c1-aaaa".into()));
    assert_eq!(token.addresses, ["10.77.0.11:7440", "[fd00::12]:7440"]);
    assert_eq!(token.authority, CaDigest::of(b"a root"));
    assert_eq!(token.member.as_str(), "n4");
    assert_eq!(token.expires, LogTime(1_790_000_000_000));
    assert_eq!(token.token_hash(), Digest(include_str!("golden/join-token-v1.hash").trim().into()));
    assert_eq!(token.to_text().unwrap(), GOLDEN.trim());
}

#[test]
fn every_flipped_byte_is_refused_with_a_code() {
    let text = token().to_text().unwrap();
    let mut seen = std::collections::BTreeMap::<&str, u32>::new();
    for at in 0..text.len() {
        for flip in 1..=255_u8 {
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= flip;
            // What is no text at all cannot be pasted.
            let Ok(damaged) = String::from_utf8(damaged) else { continue };
            let error = JoinToken::parse(&damaged).expect_err(&format!("byte {at} flipped by {flip:#04x}"));
            assert!(error.to_string().starts_with(error.code()));
            *seen.entry(error.code()).or_default() += 1;
        }
    }
    for code in ["LK4201", "LK4202", "LK4203", "LK4204", "LK4205"] {
        assert!(seen.contains_key(code), "{code} never came up: {seen:?}");
    }
}

#[test]
fn every_cut_is_refused_and_called_a_cut() {
    let text = token().to_text().unwrap();
    for length in 0..text.len() {
        let error = JoinToken::parse(&text[..length]).expect_err(&format!("cut to {length}"));
        match error {
            TokenError::NotAToken => assert!(length < 5),
            TokenError::Truncated { found, expected } => assert!(length >= 5 && found < expected),
            other => panic!("cut to {length}: {other}"),
        }
    }
}

#[test]
fn every_swap_and_every_addition_is_refused() {
    let text = token().to_text().unwrap();
    for at in 5..text.len() - 1 {
        let mut bytes = text.clone().into_bytes();
        bytes.swap(at, at + 1);
        let swapped = String::from_utf8(bytes).unwrap();
        assert_eq!(JoinToken::parse(&swapped).is_ok(), swapped == text, "swapped at {at}");
    }
    for more in ["A", "AA", "AAA", "AAAA", "=", ".", " x"] {
        assert!(JoinToken::parse(&format!("{text}{more}")).is_err(), "{more:?}");
    }
    assert!(JoinToken::parse(&format!("{text}{}", "A".repeat(10_000))).is_err());
    assert!(JoinToken::parse(&format!("{}\n{}", &text[..40], &text[40..])).is_err());
}

#[test]
fn other_texts_are_told_apart() {
    for (text, code) in [
        ("", "LK4201"),
        ("hello", "LK4201"),
        ("lkj_abc", "LK4201"),
        ("lkjx_abc", "LK4201"),
        ("LKJ1_abc", "LK4201"),
        ("lkj2_abc", "LK4202"),
        ("lkj10_abc", "LK4202"),
        ("lkj1_", "LK4204"),
        ("lkj1_a b", "LK4203"),
        ("lkj1_\u{2014}", "LK4203"),
        ("lkj1_AAAAAAAAAAAAAA", "LK4205"),
    ] {
        assert_eq!(JoinToken::parse(text).unwrap_err().code(), code, "{text:?}");
    }
}

#[test]
fn fields_out_of_bounds_are_named_on_both_sides() {
    for (change, field) in [
        (Box::new(|t: &mut JoinToken| t.addresses.clear()) as Box<dyn Fn(&mut JoinToken)>, "addresses"),
        (Box::new(|t: &mut JoinToken| t.addresses = vec!["a:1".into(); 6]), "addresses"),
        (Box::new(|t: &mut JoinToken| t.addresses = vec!["x".repeat(261)]), "addresses"),
        (Box::new(|t: &mut JoinToken| t.cluster = ClusterId(String::new())), "cluster"),
        (Box::new(|t: &mut JoinToken| t.cluster = ClusterId("a/b".into())), "cluster"),
    ] {
        let mut token = token();
        change(&mut token);
        let error = token.to_text().unwrap_err();
        assert_eq!(error, TokenError::Content { field });
        assert_eq!(error.code(), "LK4206");
    }
}

#[test]
fn expiry_is_a_hint_by_the_joiner_s_clock() {
    let token = token();
    assert_eq!(token.hint_expired(LogTime(0)), Ok(()));
    assert_eq!(token.hint_expired(token.expires), Ok(()));
    let late = token.hint_expired(LogTime(token.expires.0 + 10 * 60_000)).unwrap_err();
    assert_eq!((late.code(), late), ("LK4207", TokenError::Expired { minutes: 10 }));
    // Reading it does not ask the clock.
    assert!(JoinToken::parse(&token.to_text().unwrap()).is_ok());
}

#[test]
fn neither_debug_nor_an_error_shows_the_secret() {
    let token = token();
    let text = token.to_text().unwrap();
    assert!(format!("{token:?}").contains("TokenSecret(..)"));
    let secret = &text[text.len() - 40..];
    for at in 5..text.len() {
        let mut damaged = text.clone();
        damaged.replace_range(at..=at, "!");
        let error = JoinToken::parse(&damaged).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret[..8]));
    }
}
