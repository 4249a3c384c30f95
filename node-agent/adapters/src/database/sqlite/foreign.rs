//! What a SQLite file shows of other tools' locks: tables by name, and the processes that have it open. Reads only.

use super::{Sqlite, content, openers};
use crate::database::{
    Answer,
    foreign::{self, Around, NAMES, ROWS, Row, Table},
};
use lockkeeper_core::observe::ForeignLocks;
use rusqlite::{Connection, types::ValueRef};
use serde_json::Value;

impl Sqlite {
    pub(super) fn foreign(&self) -> Answer<ForeignLocks> {
        let file = self.live_path()?;
        let (mut tables, mut unread) = (Vec::new(), Vec::new());
        {
            let connection = content::reader(&file)?;
            let names = named(&connection).map_err(|error| content::failed("ask", &file, &error))?;
            for name in names {
                match table(&connection, &name) {
                    Ok(table) => tables.push(table),
                    Err(error) => unread.push(format!("table {name}: {error}")),
                }
            }
        }
        // Our own connection is closed by now, and our own process is left out in any case.
        let look = openers::look(&file)?;
        let around = Around {
            database: self.spec.name.clone(),
            sessions: look.openers.into_iter().map(session).collect(),
            blind: (look.hidden > 0)
                .then(|| format!("{} processes of other users are closed to this agent", look.hidden)),
            advisory: None,
            sql_sessions: false,
        };
        Ok(foreign::look(&tables, &around, unread))
    }
}

fn session(opener: openers::Opener) -> foreign::Session {
    foreign::Session {
        id: opener.pid.to_string(),
        address: "local".to_owned(),
        login: String::new(),
        program: opener.program,
        since: format!("{} (unix)", opener.since),
        writes: true,
        alters: false,
    }
}

fn named(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("select name from sqlite_master where type = 'table' order by name")?;
    let names =
        statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| NAMES.contains(&name.to_lowercase().as_str())).collect())
}

fn table(connection: &Connection, name: &str) -> rusqlite::Result<Table> {
    let mut statement =
        connection.prepare(&format!("select * from \"{}\" limit {ROWS}", name.replace('"', "\"\"")))?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut table = Table { name: name.to_owned(), columns: columns.clone(), ..Table::default() };
    if !foreign::reads_rows(name) {
        return Ok(table);
    }
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut read = Row::new();
        for (at, column) in columns.iter().enumerate() {
            read.insert(column.clone(), value(row.get_ref(at)?));
        }
        table.rows.push(read);
    }
    Ok(table)
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()).into(),
    }
}
