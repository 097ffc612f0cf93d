//! The client that commands ask the services with.

use ltm_client::{Client, ServerUrl, Token};

use crate::error::Error;

/// A client of the services at `server`, with a token if there is one.
pub(crate) fn build(server: ServerUrl, token: Option<Token>) -> Result<Client, Error> {
    let mut client = Client::builder(server).agent(concat!("ltm/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = token {
        client = client.token(token);
    }
    Ok(client.build()?)
}
