//! What the tests share: the daemon and what it talks to, what a fault may cost, and what was
//! sent and must come of it.

pub(crate) mod captures;
pub(crate) mod check;
pub(crate) mod command;
pub(crate) mod decoded;
pub(crate) mod files;
pub(crate) mod following;
pub(crate) mod foreign_servers;
pub(crate) mod hammer;
pub(crate) mod harness;
pub(crate) mod listener;
pub(crate) mod lists;
pub(crate) mod mesh;
pub(crate) mod name_server;
pub(crate) mod not_tried;
pub(crate) mod notify;
pub(crate) mod observe;
pub(crate) mod own_process;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod reader;
pub(crate) mod secure;
pub(crate) mod streams;
pub(crate) mod wire;
