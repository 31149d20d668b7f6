//! How large databases are, what they hold, and how much room there is for more.

use std::path::{Path, PathBuf};

use super::connection::{Connection, Session, literal, quoted};
use super::{Target, tool};
use crate::model::unit::Quantity;
use crate::probe::ProbeError;
use crate::probe::sql::site::Server;

/// Bytes that this user may still write where `folder` is.
///
/// # Errors
/// The folder cannot be looked at.
pub fn free(folder: &Path) -> Result<u64, ProbeError> {
    let found = rustix::fs::statvfs(folder)
        .map_err(|error| ProbeError::io(format!("the folder {}", folder.display()), &error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Refuses what does not fit; otherwise says how much room is left afterwards.
///
/// # Errors
/// `no_space`; the folder cannot be looked at.
pub fn fits(folder: &Path, needed: u64) -> Result<String, ProbeError> {
    let free = free(folder)?;
    let shown = |amount| Quantity::bytes(amount).rounded();
    if needed > free {
        let message = format!("{} has {} free, but about {} are needed", folder.display(), shown(free), shown(needed));
        return Err(ProbeError::new("no_space", message).help("make room there, or choose another place"));
    }
    Ok(format!("about {} are needed in {}, {} are free", shown(needed), folder.display(), shown(free)))
}

/// The size of the database on the disk of its server, in bytes.
///
/// # Errors
/// The server does not tell.
pub async fn size(target: &Target, connection: &mut Connection) -> Result<u64, ProbeError> {
    let sql = match &connection.session {
        Session::MySql(_) => format!(
            "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS UNSIGNED) FROM information_schema.tables \
             WHERE table_schema = {}",
            literal(&target.database)
        ),
        Session::Postgres(_) => "SELECT pg_database_size(current_database())".to_owned(),
        Session::Sqlite(_) => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()".to_owned(),
    };
    let answer = connection.text(&sql).await?;
    answer
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| ProbeError::new("bad_answer", format!("{} does not say how large it is", target.shown())))
}

/// Its tables, as dumps name them: without the schema `public`.
///
/// # Errors
/// The server does not tell.
pub async fn tables(connection: &mut Connection) -> Result<Vec<String>, ProbeError> {
    connection.texts(match &connection.session {
        Session::MySql(_) => {
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() \
             AND table_type = 'BASE TABLE' ORDER BY 1"
        }
        Session::Postgres(_) => {
            r"SELECT CASE schemaname WHEN 'public' THEN '' ELSE schemaname || '.' END || tablename FROM pg_tables
              WHERE schemaname NOT LIKE 'pg\_%' AND schemaname <> 'information_schema' ORDER BY 1"
        }
        Session::Sqlite(_) => {
            r"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY 1"
        }
    })
    .await
}

/// Counts the rows of these tables, one by one: exact, and as slow as reading all of them.
///
/// # Errors
/// A table cannot be read.
pub async fn rows(connection: &mut Connection, tables: &[String]) -> Result<u64, ProbeError> {
    let mut sum = 0;
    for table in tables {
        // A name with a dot may be one of a schema or one of its own.
        let name = match (&connection.session, table.split_once('.')) {
            (Session::Postgres(_), Some((schema, name))) => {
                format!("{}.{}", quoted(&connection.session, schema), quoted(&connection.session, name))
            }
            (session, _) => quoted(session, table),
        };
        let count = connection.text(&format!("SELECT COUNT(*) FROM {name}")).await?;
        sum += count.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// Where the server keeps its data, if that is on this machine and this user may know it.
pub async fn data_folder(target: &Target, connection: &mut Connection) -> Option<PathBuf> {
    let local = |host: &str| host.starts_with('/') || matches!(host, "localhost" | "127.0.0.1" | "::1");
    let sql = match &target.site.server {
        Server::MySql(options) if options.get_socket().is_some() || local(options.get_host()) => "SELECT @@datadir",
        Server::Postgres(options) if options.get_socket().is_some() || local(options.get_host()) => {
            "SELECT setting FROM pg_settings WHERE name = 'data_directory'"
        }
        Server::Sqlite(_) => return Some(tool::folder_of(Path::new(&target.database)).to_owned()),
        Server::MySql(_) | Server::Postgres(_) => return None,
    };
    // A container's folder is not here, or only by chance.
    connection.text(sql).await.ok().flatten().map(PathBuf::from).filter(|folder| folder.is_dir())
}

/// Sessions that use the database now, besides this one; `None` where that cannot be told.
pub async fn sessions(target: &Target, connection: &mut Connection) -> Option<u64> {
    let name = literal(&target.database);
    let sql = match &connection.session {
        Session::MySql(_) => {
            format!("SELECT COUNT(*) FROM information_schema.processlist WHERE db = {name} AND id <> CONNECTION_ID()")
        }
        Session::Postgres(_) => {
            format!("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = {name} AND pid <> pg_backend_pid()")
        }
        Session::Sqlite(_) => return None,
    };
    connection.text(&sql).await.ok()??.parse().ok()
}

/// What CREATE DATABASE needs to make one with the same character set; nothing for SQLite.
///
/// # Errors
/// The server does not tell.
pub async fn character_set(target: &Target, connection: &mut Connection) -> Result<String, ProbeError> {
    let sql = match &connection.session {
        Session::MySql(_) => format!(
            "SELECT CONCAT('CHARACTER SET ', default_character_set_name, ' COLLATE ', default_collation_name) \
             FROM information_schema.schemata WHERE schema_name = {}",
            literal(&target.database)
        ),
        Session::Postgres(_) => "SELECT format('TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', \
             pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = current_database()"
            .to_owned(),
        Session::Sqlite(_) => return Ok(String::new()),
    };
    Ok(connection.text(&sql).await?.unwrap_or_default())
}
