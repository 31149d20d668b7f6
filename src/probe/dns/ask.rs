//! One question to one name server: over UDP, and over TCP when the answer is too long for that.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, Query};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use crate::probe::http::trouble::shown;
use crate::probe::sql::trouble::without_number;

/// A datagram may get lost: the question is sent again after so long, as other programs do it.
const AGAIN: Duration = Duration::from_secs(5);

/// What fits into one datagram on any usual network: <https://www.dnsflagday.net/2020/>.
const PAYLOAD: u16 = 1232;

pub struct Answer {
    pub message: Message,
    pub latency: Duration,
}

/// # Errors
/// Why there is no answer, in plain words.
pub async fn ask(server: SocketAddr, name: &Name, kind: RecordType, end: Instant) -> Result<Answer, String> {
    let began = Instant::now();
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    // The wish to know whether the answer was verified: RFC 6840, 5.7.
    question.metadata.authentic_data = true;
    question.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    question.set_edns(edns);
    let bytes = question.to_vec().map_err(|error| format!("no question can be made of {name}: {error}"))?;
    let asked = async {
        let message = by_udp(server, &question, &bytes).await?;
        if message.metadata.truncation { by_tcp(server, &question, &bytes).await } else { Ok(message) }
    };
    match timeout_at(end, asked).await {
        Ok(Ok(message)) => Ok(Answer { message, latency: began.elapsed() }),
        Ok(Err(error)) => Err(explain(&error, server)),
        Err(_) => Err(format!("no answer from {server} within {}", shown(began.elapsed()))),
    }
}

async fn by_udp(server: SocketAddr, question: &Message, bytes: &[u8]) -> io::Result<Message> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A new port for each question: with its number, who has not seen it can hardly answer it.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    loop {
        socket.send(bytes).await?;
        let again = Instant::now() + AGAIN;
        while let Ok(received) = timeout_at(again, socket.recv(&mut answer)).await {
            match Message::from_vec(&answer[..received?]) {
                Ok(message) if is_answer(&message, question) => return Ok(message),
                // Late or forged.
                Ok(_) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &Message, bytes: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_u16(u16::try_from(bytes.len()).map_err(io::Error::other)?).await?;
    stream.write_all(bytes).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    let message = Message::from_vec(&answer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    if is_answer(&message, question) {
        Ok(message)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "it is to another question"))
    }
}

/// Some servers answer what they refuse without the question.
fn is_answer(message: &Message, question: &Message) -> bool {
    message.metadata.id == question.metadata.id && (message.queries.is_empty() || message.queries == question.queries)
}

fn explain(error: &io::Error, server: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused: no name server listens at {server}"),
        io::ErrorKind::InvalidData => format!("the answer of {server} is not DNS: {error}"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => format!("{server} closed the connection"),
        _ => format!("{server} cannot be asked: {}", without_number(&error.to_string())),
    }
}
