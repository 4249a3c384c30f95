//! The name of the login minted for one grant.

use crate::database::{Answer, DatabaseCode};
use lockkeeper_core::ids::{DatabaseName, Token};

/// Longest role name PostgreSQL keeps whole, in bytes.
pub const LOGIN_MAX: usize = 63;

/// `lk_<database>_<generation>_<index>`: found by eye in a session list, never used twice by a group.
pub fn login_name(database: &DatabaseName, token: Token) -> Answer<String> {
    let name = format!("lk_{database}_{}_{}", token.generation.0, token.index.0);
    if name.len() > LOGIN_MAX {
        return Err(DatabaseCode::LoginName
            .refuse(format!("{name} has {} bytes; a role name may have {LOGIN_MAX}", name.len())));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockkeeper_core::ids::{Generation, LogIndex};

    #[test]
    fn the_longest_database_name_fits_with_a_usual_token() {
        let name = DatabaseName::new("d".repeat(32)).unwrap();
        let token = Token { generation: Generation(99), index: LogIndex(999_999_999_999) };
        assert!(login_name(&name, token).unwrap().len() <= LOGIN_MAX);
        let huge = Token { generation: Generation(u64::MAX), index: LogIndex(u64::MAX) };
        assert_eq!(login_name(&name, huge).unwrap_err().code, DatabaseCode::LoginName);
    }
}
