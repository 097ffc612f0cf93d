//! Connections that leave HTTP: whoever answers a handshake gets the socket itself.
//!
//! The HTTP server is done with such a connection once the answer is out, and keeps nothing of it: no
//! buffers, no timers, no task.

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
use tokio::time::timeout;

use super::{
    admission::permit::ConnectionPermit,
    connection::{Connection, LINGER},
};

/// What one read takes at most: who has left HTTP says little.
const READ: usize = 4 * 1024;

/// The socket of a connection that has left HTTP. It holds the connection's permit until it is dropped.
pub struct Socket {
    stream: TcpStream,
    /// What came together with the handshake.
    early: RefCell<Bytes>,
    /// The body of the answer: with it goes what the request holds.
    answer: Cell<Option<BoxBody>>,
    _permit: ConnectionPermit,
}

impl Socket {
    /// Writes what the system takes at once; gives how much that was.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] where it takes nothing now; others where the connection has ended.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    /// Waits until the system may take something.
    ///
    /// # Errors
    ///
    /// Where the connection has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.stream.writable().await
    }

    /// Says that nothing more will be sent.
    pub fn shut_down(&self) {
        // A connection that has ended needs no word.
        let _ = SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write);
    }
}

/// What comes from the peer, piece by piece as it is asked for.
pub struct Incoming {
    socket: Rc<Socket>,
    /// Whether a piece was just given: whoever asks first works on that, before more is read.
    gave: bool,
}

impl Incoming {
    fn new(socket: Rc<Socket>) -> Self {
        Self {
            socket,
            gave: false,
        }
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.gave) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let early = self.socket.early.take();
        if !early.is_empty() {
            self.gave = true;
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
                    self.gave = true;
                    return Poll::Ready(Some(Ok(Bytes::copy_from_slice(&piece[..count]))));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}

/// What a request to leave HTTP offers to its handler. Clones are the same offer.
#[derive(Clone)]
pub struct Upgrade {
    socket: Rc<Socket>,
    next: Rc<RefCell<Option<LocalBoxFuture<'static, ()>>>>,
}

impl Upgrade {
    /// The offer of this request; none where it does not ask to leave HTTP, or has a body.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// The socket. Nothing may be written to it before the answer is out.
    pub fn socket(&self) -> Rc<Socket> {
        self.socket.clone()
    }

    /// What comes after the request.
    pub fn incoming(&self) -> Incoming {
        Incoming::new(self.socket())
    }

    /// What is to run once 101 has been answered. With any other answer it is dropped.
    pub fn then(&self, next: impl Future<Output = ()> + 'static) {
        *self.next.borrow_mut() = Some(Box::pin(next));
    }
}

/// Answers a request to leave HTTP by `app`, and hands the socket over where that agrees; otherwise ends
/// the connection.
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
    let (stream, permit) = connection.leave_http();
    let socket = Rc::new(Socket {
        stream,
        // A copy, so that the server's buffer does not live as long as the socket.
        early: RefCell::new(Bytes::copy_from_slice(&read_buf)),
        answer: Cell::new(None),
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
    let mut answer = Answer {
        socket,
        codec,
        unsent: write_buf,
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        // Who has gone meanwhile needs no answer.
        let _ = answer.refuse(response).await;
    } else if let Ok(body) = answer.agree(response).await
        && let Some(next) = upgrade.next.take()
    {
        answer.socket.answer.set(Some(body));
        rt::spawn(next);
    }
    Ok(())
}

/// An answer on its way.
struct Answer {
    socket: Rc<Socket>,
    codec: Codec,
    unsent: BytesMut,
}

impl Answer {
    /// Sends 101; gives its body, which nobody reads.
    async fn agree(&mut self, response: Response<BoxBody>) -> io::Result<BoxBody> {
        let body = self.head(response)?;
        self.send().await?;
        Ok(body)
    }

    /// Sends any other answer, and ends the connection.
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
        self.socket.shut_down();
        // A reset for what has not been read would overtake the answer.
        let mut rest = Incoming::new(self.socket);
        let read = async { while let Some(Ok(_)) = rest.next().await {} };
        let _ = timeout(LINGER, read).await;
        Ok(())
    }

    /// Encodes the head, to be sent with what comes first after it; gives the body.
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
