//! Upgrades: connections that leave HTTP. The handler of a handshake gets the socket itself.
//!
//! Once the response is sent, the HTTP server keeps nothing of such a connection: no buffers, no timers, no task.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_codec::{Encoder, Framed, FramedParts};
use actix_http::{
    ConnectionType, Request, Response,
    body::{BodySize, BoxBody, MessageBody},
    h1::{Codec, Message},
};
use actix_service::Service;
use actix_web::{
    HttpMessage, HttpRequest,
    error::PayloadError,
    http::StatusCode,
    rt::{self, net::TcpStream},
    web::{Bytes, BytesMut},
};
use futures_util::{Stream, StreamExt, future::LocalBoxFuture};
use socket2::SockRef;
use tokio::time::{sleep_until, timeout};

use super::{
    Connection, LINGER,
    progress::{Progress, too_slow},
};
use crate::{http::admission::permit::ConnectionPermit, process::tasks::catch_panic};

/// The most bytes of one read. Clients send little after an upgrade.
const READ: usize = 4 * 1024;

/// The socket of a connection that has left HTTP. It holds the permit of the connection until it is dropped.
pub struct Socket {
    stream: TcpStream,
    /// The bytes that arrived together with the handshake.
    early: RefCell<Bytes>,
    /// The body of the response. It holds the permits of the request.
    response_body: Cell<Option<BoxBody>>,
    progress: RefCell<Progress>,
    /// The bytes that the system has accepted.
    sent: Rc<Cell<u64>>,
    _permit: ConnectionPermit,
}

impl Socket {
    /// Writes as many bytes as the system accepts at once, and returns their number.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if the system accepts none now; any other if the connection has ended.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.try_write(bytes);
        if let Ok(count) = written {
            self.progress.borrow_mut().accepted(count);
            self.sent.update(|sent| sent + count as u64);
        }
        written
    }

    /// Waits until the system may accept bytes.
    ///
    /// # Errors
    ///
    /// The connection has ended, or the client accepts too little (`http.min_progress`).
    pub async fn writable(&self) -> io::Result<()> {
        loop {
            let end = self.progress.borrow_mut().blocked();
            tokio::select! {
                ready = self.stream.writable() => return ready,
                () = sleep_until(end) => {}
            }
            if self.progress.borrow_mut().is_too_slow(&self.stream) {
                return Err(too_slow());
            }
        }
    }

    /// Tells the client that nothing more will be sent.
    pub fn shut_down(&self) {
        // This fails only if the connection has ended.
        let _ = SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write);
    }
}

/// The bytes from the client, read when they are polled for.
pub struct Incoming {
    socket: Rc<Socket>,
    /// Whether the last poll returned bytes. The next one yields first, so that its caller handles them before more is read.
    yielding: bool,
}

impl Incoming {
    fn new(socket: Rc<Socket>) -> Self {
        Self {
            socket,
            yielding: false,
        }
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.yielding) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let early = self.socket.early.take();
        if !early.is_empty() {
            self.yielding = true;
            return Poll::Ready(Some(Ok(early)));
        }
        let mut piece = [0; READ];
        loop {
            if let Err(error) = ready!(self.socket.stream.poll_read_ready(cx)) {
                return Poll::Ready(Some(Err(error.into())));
            }
            match self.socket.stream.try_read(&mut piece) {
                Ok(0) => return Poll::Ready(None),
                Ok(count) => {
                    self.yielding = true;
                    return Poll::Ready(Some(Ok(Bytes::copy_from_slice(&piece[..count]))));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}

/// The upgrade that a request asks for. Clones are the same upgrade.
#[derive(Clone)]
pub struct Upgrade {
    socket: Rc<Socket>,
    next: Rc<RefCell<Option<LocalBoxFuture<'static, ()>>>>,
}

impl Upgrade {
    /// The upgrade of this request; `None` if it does not ask for one, or has a body.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// The socket. Nothing may be written to it before the response is sent.
    pub fn socket(&self) -> Rc<Socket> {
        self.socket.clone()
    }

    /// The bytes that the socket has accepted; it outlives the socket.
    pub(crate) fn sent(&self) -> Rc<Cell<u64>> {
        self.socket.sent.clone()
    }

    /// The bytes after the request.
    pub fn incoming(&self) -> Incoming {
        Incoming::new(self.socket())
    }

    /// Runs `next` once the response 101 is sent. After any other response, `next` is dropped.
    pub fn then(&self, next: impl Future<Output = ()> + 'static) {
        *self.next.borrow_mut() = Some(Box::pin(next));
    }
}

/// Lets `app` answer an upgrade request. If it agrees, hands the socket over; otherwise ends the connection.
pub(crate) async fn upgrade<S, B>(
    app: S,
    (request, framed): (Request, Framed<Connection, Codec>),
) -> Result<(), Infallible>
where
    S: Service<Request>,
    S::Response: Into<Response<B>>,
    S::Error: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    let FramedParts {
        io: connection,
        codec,
        read_buf,
        write_buf,
        ..
    } = framed.into_parts();
    let (stream, progress, permit) = connection.leave_http();
    let socket = Rc::new(Socket {
        stream,
        // A copy, because the buffer of the server would live as long as the socket.
        early: RefCell::new(Bytes::copy_from_slice(&read_buf)),
        response_body: Cell::new(None),
        progress: RefCell::new(progress),
        sent: Rc::default(),
        _permit: permit,
    });
    drop(read_buf);
    let upgrade = Upgrade {
        socket: socket.clone(),
        next: Rc::default(),
    };
    request.extensions_mut().insert(upgrade.clone());
    let response = match app.call(request).await {
        Ok(response) => response.into().map_into_boxed_body(),
        Err(error) => error.into(),
    };
    let mut writer = ResponseWriter {
        socket,
        codec,
        unsent: write_buf,
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        // This fails only if the client has closed the connection.
        let _ = writer.refuse(response).await;
    } else if let Ok(body) = writer.agree(response).await
        && let Some(next) = upgrade.next.take()
    {
        writer.socket.response_body.set(Some(body));
        rt::spawn(catch_panic("socket", next));
    }
    Ok(())
}

/// A response that is being sent.
struct ResponseWriter {
    socket: Rc<Socket>,
    codec: Codec,
    unsent: BytesMut,
}

impl ResponseWriter {
    /// Sends 101, and returns its body, which is never sent.
    async fn agree(&mut self, response: Response<BoxBody>) -> io::Result<BoxBody> {
        let body = self.head(response)?;
        self.send().await?;
        Ok(body)
    }

    /// Sends any other response, and ends the connection.
    async fn refuse(mut self, mut response: Response<BoxBody>) -> io::Result<()> {
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
        let mut body = self.head(response)?;
        while let Some(part) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            let part = part.map_err(|error| io::Error::other(error.to_string()))?;
            self.encode(Message::Chunk(Some(part)))?;
            self.send().await?;
        }
        self.encode(Message::Chunk(None))?;
        self.send().await?;
        // What ends with the response does not wait for the client.
        drop(body);
        self.socket.shut_down();
        // If unread bytes were left, the system would reset the connection before the client has the response.
        let mut rest = Incoming::new(self.socket);
        let read = async { while let Some(Ok(_)) = rest.next().await {} };
        let _ = timeout(LINGER, read).await;
        Ok(())
    }

    /// Encodes the head, which is sent with the first bytes after it, and returns the body.
    fn head(&mut self, response: Response<BoxBody>) -> io::Result<BoxBody> {
        let mut body = BoxBody::new(());
        let response = response.map_body(|_, given| body = given);
        self.encode(Message::Item((response, body.size())))?;
        Ok(body)
    }

    fn encode(&mut self, message: Message<(Response<()>, BodySize)>) -> io::Result<()> {
        self.codec.encode(message, &mut self.unsent)
    }

    async fn send(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.try_write(&self.unsent) {
                Ok(count) => drop(self.unsent.split_to(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.writable().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
