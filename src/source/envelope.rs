//! The envelope of gRPC messages, in protobuf: requests to bytes, bytes to responses.
//!
//! Pure, and free of C-core, so that the way from the wire to the file can be tested without it.

use bytes::Bytes;
use protobuf::Message;

use crate::assignment::Resource;
use crate::proto::discovery::{DiscoveryRequest, DiscoveryResponse};
use crate::proto::parse;
use crate::session::{Request, Response};

/// google.rpc.Code.INVALID_ARGUMENT, which a NACK carries.
const INVALID_ARGUMENT: i32 = 3;

/// Decodes the envelope of a response; the resources become slices of this one allocation.
///
/// # Errors
/// Where the bytes are not a `DiscoveryResponse`.
pub fn decode(message: Vec<u8>) -> protobuf::Result<Response> {
    let response = parse::<DiscoveryResponse>(&Bytes::from(message))?;
    let resources = response.resources.into_iter();
    Ok(Response {
        version: response.version_info,
        nonce: response.nonce,
        type_url: response.type_url,
        resources: resources
            .map(|any| Resource::Protobuf {
                type_url: any.type_url,
                value: any.value,
            })
            .collect(),
    })
}

/// The bytes of a request.
///
/// # Panics
/// Never: the message has no required fields, so it can always be written.
#[must_use]
pub fn encode(request: &Request) -> Vec<u8> {
    let mut message = DiscoveryRequest::new();
    message.version_info.clone_from(&request.version);
    message
        .node
        .mut_or_insert_default()
        .id
        .clone_from(&request.node_id);
    message.type_url = request.generation.type_url().to_owned();
    message.response_nonce.clone_from(&request.nonce);
    if let Some(reason) = &request.rejection {
        let detail = message.error_detail.mut_or_insert_default();
        detail.code = INVALID_ARGUMENT;
        detail.message.clone_from(reason);
    }
    message.write_to_bytes().expect("no field is required")
}
