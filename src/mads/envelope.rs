//! The envelope of gRPC messages, in protobuf: requests to bytes, bytes to responses.
//!
//! Pure, and free of C-core, so that the way from the wire to the file can be tested without it.

use bytes::Bytes;
use protobuf::Message;

use crate::mads::api_version::ApiVersion;
use crate::mads::assignment::Resource;
use crate::mads::protobuf::{Field, Fields, WireError, fields_1_and_2, text};
use crate::mads::session::{Request, Response};
use crate::mads::wire::discovery::DiscoveryRequest;

/// google.rpc.Code.INVALID_ARGUMENT, which a NACK carries.
const INVALID_ARGUMENT: i32 = 3;

/// How many bytes a resource has, roughly.
const RESOURCE_LENGTH: usize = 256;

/// Decodes the envelope of a response; the resources become slices of this one allocation.
///
/// The first resource of a type that no API version has spoils the whole response, so what follows it
/// is not kept: all others take no more memory than they took bytes on the wire, or little more.
///
/// # Errors
/// Where the bytes are not a `DiscoveryResponse`.
pub fn decode(message: Vec<u8>) -> Result<Response, WireError> {
    let message = Bytes::from(message);
    let mut response = Response {
        version: String::new(),
        nonce: String::new(),
        type_url: String::new(),
        resources: Vec::with_capacity(message.len() / RESOURCE_LENGTH),
    };
    let mut is_spoilt = false;
    for field in Fields::of(&message) {
        match field? {
            Field::Bytes(1, bytes) => response.version = text(bytes)?.to_string(),
            Field::Bytes(2, bytes) if !is_spoilt => {
                let resource = decode_any(&message, bytes)?;
                is_spoilt = matches!(resource, Resource::Foreign(_));
                response.resources.push(resource);
            }
            Field::Bytes(4, bytes) => response.type_url = text(bytes)?.to_string(),
            Field::Bytes(5, bytes) => response.nonce = text(bytes)?.to_string(),
            _ => {}
        }
    }
    Ok(response)
}

/// Decodes a resource that is a part of `message`.
fn decode_any(message: &Bytes, any: &[u8]) -> Result<Resource, WireError> {
    let (type_url, value) = fields_1_and_2(any)?;
    Ok(match ApiVersion::of_type_url(type_url) {
        Some(api_version) => Resource::Protobuf(api_version, message.slice_ref(value)),
        None => Resource::Foreign(text(type_url)?.to_string()),
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
    message.node.mut_or_insert_default().id.clone_from(&request.node_id);
    message.type_url = request.api_version.type_url().to_owned();
    message.response_nonce.clone_from(&request.nonce);
    if let Some(reason) = &request.rejection {
        let detail = message.error_detail.mut_or_insert_default();
        detail.code = INVALID_ARGUMENT;
        detail.message.clone_from(reason);
    }
    message.write_to_bytes().expect("no field is required")
}
