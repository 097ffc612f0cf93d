//! An HTTP proxy that clients have to use, as in many company networks.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A forward proxy on a port of its own. It sends every connection to one server, whatever host a request names.
pub struct ForwardProxy {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    /// Starts a proxy in front of `server`, `host:port`.
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (server, seen) = (server.to_owned(), heads.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, seen) = (server.clone(), seen.clone());
                // A connection that breaks ends its thread.
                thread::spawn(move || forward(client, &server, &seen));
            }
        });
        Self { address, heads }
    }

    /// The value for `HTTP_PROXY` and `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the first requests of all connections so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Forwards one connection: through a tunnel after `CONNECT`, otherwise from the first request on as it is. A server
/// accepts the whole URL in the request line (RFC 9112, section 3.2.2).
fn forward(client: TcpStream, server: &str, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    heads.lock().unwrap().push(head.clone());
    let mut upstream = TcpStream::connect(server)?;
    let mut client = client;
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        upstream.write_all(head.as_bytes())?;
    }
    let (mut answers, mut to_client) = (upstream.try_clone()?, client);
    thread::spawn(move || {
        let copied = io::copy(&mut answers, &mut to_client);
        // The peer may have left first.
        let _ = to_client.shutdown(Shutdown::Both);
        copied
    });
    io::copy(&mut reader, &mut upstream)?;
    upstream.shutdown(Shutdown::Both)
}
