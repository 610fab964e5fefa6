//! A name server that answers as a test wants it to.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

/// Answers a question about any name.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Silence = 0,
    NoSuchName = 1,
    NoAddress = 2,
    ThisMachine = 3,
    Failure = 4,
}

/// The type of a question for an IPv4 address.
const TYPE_A: [u8; 2] = [0, 1];

/// A name server on this machine's port 53.
pub(crate) struct NameServer {
    answer: Arc<AtomicU8>,
}

impl NameServer {
    /// It knows every name until `set` changes that. To be started where the port is free.
    pub(crate) fn start() -> NameServer {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).expect("the port is ours");
        let answer = Arc::new(AtomicU8::new(Answer::ThisMachine as u8));
        let how = Arc::clone(&answer);
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                if let Some(reply) = reply(&buffer[..length], how.load(Ordering::Relaxed)) {
                    // A client that has gone needs no answer.
                    let _ = socket.send_to(&reply, client);
                }
            }
        });
        NameServer { answer }
    }

    /// What it answers from now on.
    pub(crate) fn set(&self, answer: Answer) {
        self.answer.store(answer as u8, Ordering::Relaxed);
    }
}

/// The reply to a query with one question, without the extensions that the query may have.
fn reply(query: &[u8], how: u8) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    if how == Answer::Silence as u8 || query.len() < HEADER {
        return None;
    }
    let name_end = HEADER + query[HEADER..].iter().position(|byte| *byte == 0)?;
    let question = query.get(HEADER..name_end + 5)?;
    let is_address = question[question.len() - 4..][..2] == TYPE_A;
    let has_answer = how == Answer::ThisMachine as u8 && is_address;
    let code = match how {
        how if how == Answer::NoSuchName as u8 => 3,
        how if how == Answer::Failure as u8 => 2,
        _ => 0,
    };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(has_answer), 0, 0, 0, 0]);
    reply.extend(question);
    if has_answer {
        // The name of the question, IPv4, no time to live, 127.0.0.1.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    Some(reply)
}
