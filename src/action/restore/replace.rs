//! Replacing what a database of the site holds.
//!
//! PostgreSQL and SQLite do it in one transaction: a restore that fails leaves everything as it was. MySQL and MariaDB
//! commit every table by itself: there, the safety backup is what leads back.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::super::backup::format::Format;
use super::super::backup::make::{Job, Source};
use super::super::{ActionError, Changed, Context};
use crate::probe::ProbeError;
use crate::probe::backup::decode::{Bound, Compression};
use crate::probe::database::connection::{Connection, Session, quoted};
use crate::probe::database::dump::Dump;
use crate::probe::database::policy::Into;
use crate::probe::database::tool::Tool;
use crate::probe::database::{Target, load, scratch, space};
use crate::probe::sql::statement::Dialect;

/// For tidying up when the time is over or nobody waits any more.
#[must_use]
pub fn last() -> Bound {
    Bound { until: Instant::now() + Duration::from_secs(30), cancel: CancellationToken::new() }
}

/// After something may have been changed.
#[must_use]
pub fn midway(error: ProbeError) -> ActionError {
    ActionError { changed: Changed::Perhaps, ..error.into() }
}

/// The backup of what is there now.
#[must_use]
pub fn safety(target: &Target, folder: &Path, cx: &Context) -> Job {
    let (format, ending) = Format::for_database(target.dialect());
    // By the time of the run, so that what is done has the name that was agreed to.
    let now = cx.look.now.with_timezone(&cx.look.timezone).format("%Y%m%d_%H%M%S");
    let stem = format!("before-restore_{}_{now}", target.name);
    let mut path = folder.join(format!("{stem}{ending}"));
    let mut nth = 1;
    while path.exists() {
        nth += 1;
        path = folder.join(format!("{stem}_{nth}{ending}"));
    }
    Job { source: Source::Database(Box::new(target.clone())), path, format }
}

/// The command that loads it, as a person would type it.
pub fn shown(dump: &Dump, target: &Target) -> Result<String, ProbeError> {
    let path = dump.path.display();
    let unpacked = match dump.compression {
        Compression::None => format!("cat {path}"),
        Compression::Gzip => format!("gzip --decompress --stdout {path}"),
        Compression::Zstd => format!("zstd --decompress --stdout {path}"),
        Compression::Xz => format!("xz --decompress --stdout {path}"),
        Compression::Bzip2 => format!("bzip2 --decompress --stdout {path}"),
    };
    let unpacked = match dump.kind {
        crate::probe::backup::content::Kind::PostgresqlCustom => format!("pg_restore --file=- {path}"),
        _ => unpacked,
    };
    let client = load::client(target)?;
    Ok(format!("{unpacked} | {}", client.map_or_else(|| format!("sqlite {}", target.database), |tool| tool.shown())))
}

/// What empties the database.
///
/// # Errors
/// The server does not tell what it holds.
pub async fn statements(target: &Target, connection: &mut Connection) -> Result<Vec<String>, ProbeError> {
    match &connection.session {
        Session::MySql(_) => {
            let name = quoted(&connection.session, &target.database);
            let like = space::character_set(target, connection).await?;
            Ok(vec![format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name} {like}")])
        }
        Session::Postgres(_) => schemas(connection).await,
        Session::Sqlite(_) => Ok(Vec::new()),
    }
}

/// Every schema is dropped; `public`, which dumps take for granted, is made again with its owner and its rights.
async fn schemas(connection: &mut Connection) -> Result<Vec<String>, ProbeError> {
    let mut statements = vec!["SET LOCAL lock_timeout = '30s'".to_owned()];
    let drop = r"SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace
                 WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' ORDER BY 1";
    statements.extend(connection.texts(drop).await?);
    let create = "SELECT format('CREATE SCHEMA public AUTHORIZATION %I', pg_get_userbyid(nspowner)) \
                  FROM pg_namespace WHERE nspname = 'public'";
    statements.extend(connection.texts(create).await?);
    let grant = "SELECT format('GRANT %s ON SCHEMA public TO %s', privilege_type, \
                 CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END) \
                 FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'public'";
    statements.extend(connection.texts(grant).await?);
    Ok(statements)
}

/// Fills the database with the backup and nothing else.
///
/// # Errors
/// Before: nothing was changed, or all of it was taken back. Midway: the database may hold a part.
pub async fn replace(dump: &Dump, target: &Target, cx: &Context, bound: &Bound) -> Result<(), ActionError> {
    let into = Into::Database(target.database.clone());
    let mut connection = target.connect(bound).await?;
    let statements = statements(target, &mut connection).await?;
    match target.dialect() {
        Dialect::MySql => {
            for statement in statements {
                connection.run(&statement).await.map_err(midway)?;
            }
            connection.close().await;
            load::load(dump, target, into, "", bound).await.map_err(midway)
        }
        Dialect::Postgres => {
            connection.close().await;
            let before = statements.join(";\n") + ";\n";
            load::load(dump, target, into, &before, bound).await.map_err(|error| {
                // The end of the time may fall together with the commit.
                if matches!(error.code, "time_limit" | "cancelled") { midway(error) } else { error.into() }
            })
        }
        Dialect::Sqlite => {
            connection.close().await;
            sqlite(dump, target, cx, bound).await
        }
    }
}

/// By way of a file of its own, which SQLite then copies page by page over the database in use.
async fn sqlite(dump: &Dump, target: &Target, cx: &Context, bound: &Bound) -> Result<(), ActionError> {
    let mut connection = target.connect(bound).await?;
    let name = scratch::free_name(target, cx.run.0, &mut connection).await?;
    connection.close().await;
    scratch::create(target, &name).await?;
    let filled = scratch::target(target, &name);
    let done = async {
        load::load(dump, &filled, Into::Scratch, "", bound).await?;
        let tool = Tool::find(&["sqlite3"])?
            .arguments(["-batch", "-bail", "-cmd", ".timeout 30000"])
            .argument(&target.database)
            .argument(format!(".restore \"{}\"", filled.database));
        // One transaction: the copy is taken as a whole or not at all.
        tool.start(Stdio::null(), Stdio::null())?.end(bound).await
    };
    let done = done.await;
    scratch::remove(target, &name, &last()).await.ok();
    done.map_err(|error| if matches!(error.code, "time_limit" | "cancelled") { midway(error) } else { error.into() })
}
