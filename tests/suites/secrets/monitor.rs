//! All that a Redis server is asked to do.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A connection in MONITOR mode, to which the server repeats every command.
pub struct Monitor(JoinHandle<Vec<u8>>);

impl Monitor {
    /// Listens from now on.
    pub async fn start(port: u16, password: &str) -> Self {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let ask = format!("AUTH {password}\r\nMONITOR\r\n");
        connection.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = [0; "+OK\r\n+OK\r\n".len()];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"+OK\r\n+OK\r\n");
        Self(tokio::spawn(async move {
            let mut commands = Vec::new();
            // The server may be killed at last.
            let _ = connection.read_to_end(&mut commands).await;
            commands
        }))
    }

    /// What it heard until the server was gone.
    pub async fn end(self) -> Vec<u8> {
        let heard = tokio::time::timeout(Duration::from_secs(10), self.0);
        heard.await.expect("the server is gone").unwrap()
    }
}
