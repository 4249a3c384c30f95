//! Points in time as databases write them, for comparing: `2026-11-28T15:20:00.123+01:00`, with or without the end.

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970, of UTC if `zoned`, else of somebody's local time.
    pub seconds: i64,
    /// Whether the text says which zone.
    pub zoned: bool,
}

/// None for anything else.
pub fn read(text: &str) -> Option<Moment> {
    let (date, time) = text.trim().split_once(['T', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let end = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(end);
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let [hour, minute, second] = numbers(clock.trim(), ':')?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let offset = match zone {
        "" => None,
        "Z" => Some(0),
        other => {
            let (sign, digits) = other.split_at(1);
            let mut parts = digits.split(':').map(str::parse::<i64>);
            let hours = parts.next()?.ok()?;
            let minutes = parts.next().transpose().ok()?.unwrap_or(0);
            Some((hours * 60 + minutes) * 60 * if sign == "-" { -1 } else { 1 })
        }
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Moment { seconds: seconds - offset.unwrap_or(0), zoned: offset.is_some() })
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let all: Vec<i64> = text
        .split(between)
        .map(|part| part.parse().ok().filter(|n| (0..10_000).contains(n)))
        .collect::<Option<_>>()?;
    all.try_into().ok()
}

/// Days since 1970 in the Gregorian calendar, counted from March so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_several_manners_are_the_same_moment() {
        let at = |text: &str| read(text).map(|m| (m.seconds, m.zoned));
        assert_eq!(at("1970-01-01T00:00:00Z"), Some((0, true)));
        assert_eq!(at("2026-11-28T15:20:00Z"), Some((1_795_879_200, true)));
        assert_eq!(at("2026-11-28 16:20:00.123456+01"), at("2026-11-28T15:20:00Z"));
        assert_eq!(at("2026-11-28T09:50:00-05:30"), at("2026-11-28T15:20:00Z"));
        assert_eq!(at("2024-02-29 00:00:00"), Some((1_709_164_800, false)));
        for strange in
            ["", "yesterday", "28/11/26 15:20", "2026-13-01T00:00:00Z", "2026-11-28", "2026-11-28T15:20"]
        {
            assert_eq!(at(strange), None, "{strange}");
        }
    }
}
