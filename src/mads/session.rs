//! The xDS session: what was accepted last, and the requests that say so.
//!
//! Pure. The rules are those of the xDS protocol: a stream's first request carries the last
//! accepted version and no nonce; an ACK carries the version and nonce of the response it accepts;
//! a NACK carries the last accepted version, the nonce of the response it rejects, and the reason.

use std::fmt;
use std::time::Duration;

use crate::mads::api_version::ApiVersion;
use crate::mads::assignment::{Assignments, Decoder, Resource, ResourceError};
use crate::mads::labels::LabelStyle;
use crate::mads::polling::FIRST_HOLD;

/// The longest reason a NACK carries, in bytes: it ends up in the control plane's log.
const LONGEST_REASON: usize = 4096;

/// A response as a source received it: the envelope is decoded, the resources are not.
#[derive(Debug, Clone)]
pub struct Response {
    /// The version of the list, unique in the life of one control plane process.
    pub version: String,
    /// What to answer with; empty over HTTP, which has no nonces.
    pub nonce: String,
    /// The type that the control plane says all resources have.
    pub type_url: String,
    /// The whole list: what is absent is gone.
    pub resources: Vec<Resource>,
}

/// What is asked of the control plane. A source turns it into its wire's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names the type of the wanted resources.
    pub api_version: ApiVersion,
    /// `node.id`, by which a control plane chooses among MeshMetric backends.
    pub node_id: String,
    /// The last accepted version; empty where there is none.
    pub version: String,
    /// The nonce of the response that is answered; empty in the first request of a stream.
    pub nonce: String,
    /// In a NACK, why the response was rejected.
    pub rejection: Option<String>,
    /// Over HTTP, for how long the answer may be held where there is nothing new.
    pub hold: Duration,
}

/// A response that can be used, and the request that acknowledges it.
#[derive(Debug)]
pub struct Accepted {
    /// What the response said.
    pub assignments: Assignments,
    /// To be sent once the assignments are handed over.
    pub ack: Request,
}

/// A response that cannot be used, and the request that says so.
#[derive(Debug)]
pub struct Rejected {
    /// What is wrong with it.
    pub reason: Rejection,
    /// To be sent after a pause: Kuma up to 2.6 answers a NACK with the same response at once.
    pub nack: Request,
}

/// Why a response is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The response is of another type than the one asked for.
    UnexpectedType {
        /// The type it has.
        type_url: String,
    },
    /// One of its resources is of no use, and so the list is not complete.
    Resource(ResourceError),
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedType { type_url } => {
                write!(formatter, "the response has the unexpected type {type_url:?}")
            }
            Self::Resource(error) => error.fmt(formatter),
        }
    }
}

/// What outlives a stream: the last accepted version, and its list.
#[derive(Debug)]
pub struct Session {
    node_id: String,
    decoder: Decoder,
    /// A version belongs to the type it was sent for.
    accepted: Option<(ApiVersion, String)>,
}

impl Session {
    /// A session in which nothing has been accepted yet. Targets get labels of a style.
    #[must_use]
    pub fn new(node_id: String, label_style: LabelStyle) -> Self {
        Self { node_id, decoder: Decoder::new(label_style), accepted: None }
    }

    /// The first request of a stream.
    #[must_use]
    pub fn first_request(&self, api_version: ApiVersion) -> Request {
        self.request(api_version, String::new(), None)
    }

    /// Judges a response that was asked for in `api_version`.
    ///
    /// # Errors
    /// The rejection, where the response has another type or a resource that cannot be decoded.
    /// Nothing changes then: the last accepted version stays.
    pub fn receive(
        &mut self,
        api_version: ApiVersion,
        response: Response,
    ) -> Result<Accepted, Box<Rejected>> {
        let Response { version, nonce, type_url, resources } = response;
        match self.judge(api_version, type_url, resources) {
            Ok(assignments) => {
                self.accepted = Some((api_version, version));
                let ack = self.request(api_version, nonce, None);
                Ok(Accepted { assignments, ack })
            }
            Err(reason) => {
                let nack = self.request(api_version, nonce, Some(nack_text(&reason)));
                Err(Box::new(Rejected { reason, nack }))
            }
        }
    }

    fn judge(
        &mut self,
        api_version: ApiVersion,
        type_url: String,
        resources: Vec<Resource>,
    ) -> Result<Assignments, Rejection> {
        if type_url != api_version.type_url() {
            return Err(Rejection::UnexpectedType { type_url });
        }
        self.decoder.decode(api_version, resources).map_err(Rejection::Resource)
    }

    fn request(
        &self,
        api_version: ApiVersion,
        nonce: String,
        rejection: Option<String>,
    ) -> Request {
        let version = match &self.accepted {
            Some((accepted_api_version, version)) if *accepted_api_version == api_version => {
                version.clone()
            }
            _ => String::new(),
        };
        Request {
            api_version,
            node_id: self.node_id.clone(),
            version,
            nonce,
            rejection,
            hold: FIRST_HOLD,
        }
    }
}

fn nack_text(reason: &Rejection) -> String {
    let mut text = reason.to_string();
    text.truncate(text.floor_char_boundary(LONGEST_REASON));
    text
}
