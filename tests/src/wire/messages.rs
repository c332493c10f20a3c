//! The messages between a client and PostgreSQL, and what they say about round trips.

use std::collections::HashMap;
use std::io::{Error, Result};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;

use super::RoundTrip;

/// A message after the start of a connection.
pub(super) struct Message {
    pub(super) tag: u8,
    length: u32,
    body: Vec<u8>,
}

impl Message {
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Self> {
        let tag = from.read_u8().await?;
        let length = from.read_u32().await?;
        let body = read_body(from, length, 4).await?;
        Ok(Self { tag, length, body })
    }

    /// Writes the message, and sends what is written unless more has arrived already.
    pub(super) async fn write(
        &self,
        from: &BufReader<OwnedReadHalf>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<()> {
        to.write_u8(self.tag).await?;
        to.write_u32(self.length).await?;
        to.write_all(&self.body).await?;
        if from.buffer().is_empty() {
            to.flush().await?;
        }
        Ok(())
    }

    /// Returns whether it is a notice that the server has planned a statement.
    pub(super) fn tells_of_a_plan(&self) -> bool {
        const NOTICE: &[u8] = b"PLANNER STATISTICS";
        let mut windows = self.body.windows(NOTICE.len());
        self.tag == b'N' && windows.any(|window| window == NOTICE)
    }

    /// Returns the texts at the beginning of the body, each of which ends with a zero.
    fn texts<const N: usize>(&self) -> Result<[&str; N]> {
        let mut texts = self.body.split(|byte| *byte == 0);
        let mut all = [""; N];
        for text in &mut all {
            let bytes = texts.next().ok_or(Error::other("a text is missing"))?;
            *text = std::str::from_utf8(bytes).map_err(Error::other)?;
        }
        Ok(all)
    }
}

/// Reads what follows the first `read` bytes of a message of this length.
pub(super) async fn read_body(
    from: &mut (impl AsyncRead + Unpin),
    length: u32,
    read: u32,
) -> Result<Vec<u8>> {
    let left = length.checked_sub(read).ok_or(Error::other("too short"))?;
    let mut body = vec![0; usize::try_from(left).map_err(Error::other)?];
    from.read_exact(&mut body).await?;
    Ok(body)
}

/// What a client has sent on a connection.
#[derive(Default)]
pub(super) struct Requests {
    /// The text of each prepared statement, by its name.
    statements: HashMap<String, Arc<str>>,
    /// The statement of each portal, by the portal's name.
    portals: HashMap<String, Arc<str>>,
    next: RoundTrip,
}

impl Requests {
    /// Reads a message. Returns the round trip that it starts, if it starts one.
    pub(super) fn read(&mut self, message: &Message) -> Result<Option<RoundTrip>> {
        match message.tag {
            b'P' => {
                let [name, text] = message.texts()?;
                let text = in_one_line(text);
                self.statements.insert(name.to_owned(), Arc::clone(&text));
                self.next.prepared.push(text);
            }
            b'B' => {
                let [portal, statement] = message.texts()?;
                let text = self.statements.get(statement);
                let text = text.ok_or(Error::other("the statement is not prepared"))?;
                self.portals.insert(portal.to_owned(), Arc::clone(text));
            }
            b'E' => {
                let [portal] = message.texts()?;
                let text = self.portals.get(portal);
                let text = text.ok_or(Error::other("the portal is not bound"))?;
                self.next.executed.push(Arc::clone(text));
            }
            b'Q' => {
                let [text] = message.texts()?;
                self.next.executed.push(in_one_line(text));
                return Ok(Some(std::mem::take(&mut self.next)));
            }
            b'S' => return Ok(Some(std::mem::take(&mut self.next))),
            _ => {}
        }
        Ok(None)
    }
}

/// Returns the statement without its line breaks and indentation.
fn in_one_line(statement: &str) -> Arc<str> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    words.join(" ").into()
}
