//! `helpdesk-web`: the web server. Its pages come from the database; requests and troubles are in Apache's logs.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::Utc;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::drill::fault::Fault;
use crate::drill::logs;
use crate::drill::setup::Setup;

const SLOW: Duration = Duration::from_secs(3);
const BUSY_LIMIT: Duration = Duration::from_millis(300);
const VISITOR_PACE: Duration = Duration::from_secs(1);
const OPEN_TICKETS: &str = "SELECT count(*) FROM crm_ticket WHERE status IN ('new', 'in_progress')";
/// What a release asks for whose migration was forgotten.
const OPEN_TICKETS_OF_NEXT_RELEASE: &str = "SELECT count(*) FROM crm_ticketqueue WHERE is_open";

type Shared = State<Arc<Setup>>;

pub(super) async fn run(setup: &Setup) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // Connections of the server before this one may still linger on the port.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, setup.port)))?;
    let address = socket.local_addr()?;
    if setup.has(Fault::SiteDown) {
        // Bound and not listening: connections are refused, and nobody else gets the port.
        super::say_ready(&address.to_string())?;
        return std::future::pending().await;
    }
    let listener = socket.listen(64)?;
    let setup = Arc::new(setup.clone());
    // A first look at the database, so that its troubles are in the log before anybody asks for a page.
    home_page(&setup).await;
    super::say_ready(&address.to_string())?;
    tokio::spawn(visitor(Arc::clone(&setup), address));
    axum::serve(listener, router(setup).into_make_service_with_connect_info::<SocketAddr>()).await
}

fn router(setup: Arc<Setup>) -> Router {
    let router = if setup.has(Fault::SiteHangs) {
        Router::new().fallback(std::future::pending::<()>)
    } else if setup.has(Fault::SiteWrongPage) {
        Router::new().fallback(|| async { page("Maintenance", "<p>We will be back soon.</p>") })
    } else {
        Router::new().route("/", get(home)).route("/tickets", get(tickets)).route("/health", get(health))
    };
    router.layer(from_fn_with_state(Arc::clone(&setup), log_access)).with_state(setup)
}

async fn home(State(setup): Shared) -> Response {
    if setup.has(Fault::SiteSlow) {
        tokio::time::sleep(SLOW).await;
    }
    home_page(&setup).await
}

async fn home_page(setup: &Setup) -> Response {
    let query = if setup.has(Fault::SiteError) { OPEN_TICKETS_OF_NEXT_RELEASE } else { OPEN_TICKETS };
    match count(setup, query).await {
        Ok(open) => page("Helpdesk", &format!("<p>{open} open tickets</p><p><a href=\"/tickets\">All tickets</a></p>")),
        Err(error) => server_error(setup, "/", &error),
    }
}

async fn tickets(State(setup): Shared) -> Response {
    match newest_tickets(&setup).await {
        Ok(tickets) => {
            let mut rows = String::new();
            for (id, title, status) in tickets {
                write!(rows, "<tr><td>{id}</td><td>{title}</td><td>{status}</td></tr>").ok();
            }
            page("Helpdesk: tickets", &format!("<table>{rows}</table>"))
        }
        Err(error) => server_error(&setup, "/tickets", &error),
    }
}

async fn health(State(setup): Shared) -> Response {
    match count(&setup, OPEN_TICKETS).await {
        Ok(open) => Json(serde_json::json!({ "status": "ok", "database": "ok", "open_tickets": open })).into_response(),
        Err(error) => {
            let body = serde_json::json!({ "status": "failing", "database": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

fn page(title: &str, content: &str) -> Response {
    Html(format!(
        "<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1>{content}</body></html>"
    ))
    .into_response()
}

fn server_error(setup: &Setup, path: &str, error: &sqlx::Error) -> Response {
    let at = Utc::now().with_timezone(&setup.timezone);
    let entry = logs::apache(at, "wsgi:error", &format!("Internal Server Error: {path}: {error}"));
    logs::append(&setup.apache_log(), &entry).ok();
    (StatusCode::INTERNAL_SERVER_ERROR, page("Server Error (500)", "")).into_response()
}

async fn connect(setup: &Setup) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(setup.database()).read_only(true).busy_timeout(BUSY_LIMIT);
    SqliteConnection::connect_with(&options).await
}

async fn count(setup: &Setup, query: &'static str) -> Result<i64, sqlx::Error> {
    let mut connection = connect(setup).await?;
    let count = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(count)
}

async fn newest_tickets(setup: &Setup) -> Result<Vec<(i64, String, String)>, sqlx::Error> {
    let mut connection = connect(setup).await?;
    let tickets = sqlx::query_as("SELECT id, title, status FROM crm_ticket ORDER BY id DESC LIMIT 25")
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    Ok(tickets)
}

async fn log_access(
    State(setup): Shared,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("-");
    let agent = agent.replace('"', "'");
    let response = next.run(request).await;
    let size = response.body().size_hint().exact().unwrap_or_default();
    let at = Utc::now().with_timezone(&setup.timezone);
    let entry = logs::access(at, &client.ip().to_string(), &line, response.status().as_u16(), size, &agent);
    logs::append(&setup.access_log(), &entry).ok();
    response
}

/// Somebody who reads the ticket list again and again, so that the site is never quite idle.
async fn visitor(setup: Arc<Setup>, address: SocketAddr) {
    let mut pace = tokio::time::interval(VISITOR_PACE);
    loop {
        pace.tick().await;
        // A site that hangs would keep the visitor for ever.
        tokio::time::timeout(VISITOR_PACE, visit(address)).await.ok();
        let at = Utc::now().with_timezone(&setup.timezone);
        let entry = logs::apache(at, "mpm_event:info", "1 of 64 workers busy");
        logs::append(&setup.apache_log(), &entry).ok();
    }
}

async fn visit(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = b"GET /tickets HTTP/1.1\r\nHost: helpdesk\r\nUser-Agent: Mozilla/5.0\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}
