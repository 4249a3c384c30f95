//! Reading HAProxy's tables by the names of their columns. Knows no sockets.

use super::{Admin, Health, Reading};
use std::collections::BTreeMap;

/// Bits of `srv_admin_state` that mean maintenance: by command, inherited, by configuration, by resolver, by hostname.
const MAINT_BITS: u32 = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;

/// Bits that mean drain: by command, inherited.
const DRAIN_BITS: u32 = 0x08 | 0x10;

/// `srv_op_state` of a server that is up.
const OP_RUNNING: u32 = 2;

/// The bit of `srv_check_state` that says a check is configured; others say whether it runs at the moment.
const CHECK_CONFIGURED: u32 = 0x02;

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// HAProxy answered with a sentence.
    #[error("it answered {0:?}")]
    Refused(String),
    /// There is no such server.
    #[error("no server {0:?}")]
    NoServer(String),
    /// A column is missing or not a number.
    #[error("column {column:?} of {table:?}: found {found:?}")]
    Column {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
        /// What is there.
        found: String,
    },
}

/// One line of a table, by column.
struct Row<'a> {
    table: &'static str,
    cells: BTreeMap<&'a str, &'a str>,
}

impl<'a> Row<'a> {
    fn text(&self, column: &'static str) -> &'a str {
        self.cells.get(column).copied().unwrap_or_default()
    }

    fn number<N: std::str::FromStr>(&self, column: &'static str) -> Result<N, AnswerError> {
        let found = self.text(column);
        found.parse().map_err(|_| AnswerError::Column { table: self.table, column, found: found.to_owned() })
    }
}

/// The data row of `answer` for which `is_it` holds. The header stands behind `# `, which is no column of its own.
fn row<'a>(
    table: &'static str,
    answer: &'a str,
    separator: char,
    is_it: impl Fn(&Row<'a>) -> bool,
    server: &str,
) -> Result<Row<'a>, AnswerError> {
    let mut lines = answer.lines().skip_while(|l| !l.starts_with("# "));
    let Some(header) = lines.next().and_then(|l| l.strip_prefix("# ")) else {
        return Err(AnswerError::Refused(first_line(answer)));
    };
    let split = |line: &'a str| -> Vec<&'a str> {
        if separator == ' ' {
            line.split_ascii_whitespace().collect()
        } else {
            line.split(separator).collect()
        }
    };
    let columns = split(header);
    lines
        .map(|line| Row { table, cells: columns.iter().copied().zip(split(line)).collect() })
        .find(is_it)
        .ok_or_else(|| AnswerError::NoServer(server.to_owned()))
}

/// The first line with something on it, not longer than an operator reads.
pub fn first_line(answer: &str) -> String {
    let line = answer.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or("nothing");
    line.chars().take(200).collect()
}

/// Puts the three tables together.
pub fn reading(
    backend: &str,
    server: &str,
    state: &str,
    stat: &str,
    conn: &str,
) -> Result<Reading, AnswerError> {
    let state = row(
        "show servers state",
        state,
        ' ',
        |r| r.text("be_name") == backend && r.text("srv_name") == server,
        server,
    )?;
    let stat =
        row("show stat", stat, ',', |r| r.text("pxname") == backend && r.text("svname") == server, server)?;
    let full_name = format!("{backend}/{server}");
    let conn = row("show servers conn", conn, ' ', |r| r.text("bkname/svname") == full_name, server)?;

    let admin_bits: u32 = state.number("srv_admin_state")?;
    let admin = match admin_bits {
        bits if bits & MAINT_BITS != 0 => Admin::Maint,
        bits if bits & DRAIN_BITS != 0 => Admin::Drain,
        _ => Admin::Ready,
    };
    let up = state.number::<u32>("srv_op_state")? == OP_RUNNING;
    let status = stat.text("status").to_owned();
    let health = match (stat.number("check_health"), stat.number("check_rise"), stat.number("check_fall")) {
        (Ok(points), Ok(rise), Ok(fall)) => Some(Health { points, rise, fall }),
        (_, _, _) => None,
    };
    // Current, queued, and as the connection table counts: a request may show in one a moment before the other.
    let current: u64 = stat.number("scur")?;
    let queued: u64 = stat.number("qcur")?;
    let used: u64 = conn.number("used_cur")?;
    // Not by the status: in maintenance it is the same with and without checks.
    let checked = state.number::<u32>("srv_check_state")? & CHECK_CONFIGURED != 0;
    Ok(Reading { admin, admin_bits, up, status, checked, health, sessions: (current + queued).max(used) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_check_state\n\
        3 app 1 n1 127.0.0.1 2 8 6\n3 app 2 n2 127.0.0.1 0 5 14\n3 app 3 n3 127.0.0.1 2 0 0\n\n";
    const CONN: &str = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb\n\
        app/n1 3/1 127.0.0.1 18081 - 5000 4 1 1 9\napp/n2 3/2 127.0.0.1 18082 - 5000 0 0 0 0\n\
        app/n3 3/3 127.0.0.1 18083 - 5000 0 0 0 0\n";
    const STAT: &str = "# pxname,svname,qcur,qmax,scur,smax,status,check_rise,check_fall,check_health,\n\
        app,n1,1,0,2,0,DRAIN 1/3,2,3,2,\napp,n2,0,0,0,0,MAINT,,,,\napp,n3,0,0,0,0,no check,,,,\n";

    #[test]
    fn the_tables_are_read_by_their_headers() {
        let n1 = reading("app", "n1", STATE, STAT, CONN).unwrap();
        assert_eq!((n1.admin, n1.up, n1.sessions), (Admin::Drain, true, 4));
        // Up by the number, but not by a check: it has just left maintenance.
        assert!(!n1.check_passed());
        let n2 = reading("app", "n2", STATE, STAT, CONN).unwrap();
        assert_eq!((n2.admin, n2.admin_bits, n2.up, n2.sessions), (Admin::Maint, 5, false, 0));
        assert!(n2.checked, "its checks only rest");
        let n3 = reading("app", "n3", STATE, STAT, CONN).unwrap();
        assert!(!n3.checked && n3.check_passed());
    }

    #[test]
    fn a_sentence_and_a_missing_server_are_told_apart() {
        let none = reading("app", "n9", STATE, STAT, CONN).unwrap_err();
        assert_eq!(none, AnswerError::NoServer("n9".into()));
        let refused = reading("app", "n1", "Can't find backend.\n\n", STAT, CONN).unwrap_err();
        assert_eq!(refused, AnswerError::Refused("Can't find backend.".into()));
        let mangled = STATE.replace("n1 127.0.0.1 2 8 6", "n1 127.0.0.1 2 x 6");
        assert!(matches!(reading("app", "n1", &mangled, STAT, CONN), Err(AnswerError::Column { .. })));
    }
}
