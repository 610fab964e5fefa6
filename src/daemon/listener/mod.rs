//! What an operator can look at over HTTP: metrics, the list, a page, and whether the daemon is well.
//!
//! One thread for all of it, which nothing else waits for. It reads what was observed, and can change
//! nothing. `server` has the sockets, `request` and `response` the part of HTTP that is needed, and
//! `routes` says what is where.

mod page;
mod request;
mod response;
mod routes;
mod server;

use std::io;
use std::thread;

pub(super) use server::{BindError, Server};

use crate::daemon::observed::SharedObserved;

/// Starts the thread that answers requests. It ends with the process.
pub(super) fn start(server: Server, observed: SharedObserved) -> io::Result<()> {
    let mut routes = routes::Routes::new(observed, server.checks_host());
    let work = move || server.run(|request| routes.answer(request));
    thread::Builder::new().name("listener".to_owned()).spawn(work).map(drop)
}
