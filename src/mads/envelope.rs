//! The envelope of gRPC messages, in protobuf: requests to bytes, bytes to responses.
//!
//! Pure, and free of C-core, so that the way from the wire to the file can be tested without it.

use bytes::Bytes;
use protobuf::Message;

use crate::mads::api_version::ApiVersion;
use crate::mads::assignment::Resource;
use crate::mads::session::{Request, Response};
use crate::mads::wire::discovery::DiscoveryRequest;
use crate::mads::wire::walk;

/// google.rpc.Code.INVALID_ARGUMENT, which a NACK carries.
const INVALID_ARGUMENT: i32 = 3;

/// The fields of a `DiscoveryResponse`, by number, all of which have a length.
const VERSION_INFO: u32 = 1;
const RESOURCES: u32 = 2;
const TYPE_URL: u32 = 4;
const NONCE: u32 = 5;

/// The fields of an `Any`, likewise.
const ANY_TYPE_URL: u32 = 1;
const ANY_VALUE: u32 = 2;

/// Decodes the envelope of a response; the resources become slices of this one allocation.
///
/// The first resource of a type that no API version has spoils the whole response, so what follows it
/// is not kept. All others have a type URL, and so take no more memory than they took bytes on the
/// wire, or little more.
///
/// # Errors
/// Where the bytes are not a `DiscoveryResponse`.
pub fn decode(message: Vec<u8>) -> protobuf::Result<Response> {
    let mut response = Response {
        version: String::new(),
        nonce: String::new(),
        type_url: String::new(),
        resources: Vec::new(),
    };
    let mut is_spoilt = false;
    walk(&Bytes::from(message), |tag, input| {
        match field(tag) {
            Some(VERSION_INFO) => response.version = input.read_string()?,
            Some(TYPE_URL) => response.type_url = input.read_string()?,
            Some(NONCE) => response.nonce = input.read_string()?,
            Some(RESOURCES) => {
                let any = input.read_tokio_bytes()?;
                if !is_spoilt {
                    let (type_url, value) = decode_any(&any)?;
                    is_spoilt = ApiVersion::of_type_url(&type_url).is_none();
                    response
                        .resources
                        .push(Resource::Protobuf { type_url, value });
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(response)
}

fn decode_any(any: &Bytes) -> protobuf::Result<(String, Bytes)> {
    let (mut type_url, mut value) = (String::new(), Bytes::new());
    walk(any, |tag, input| {
        match field(tag) {
            Some(ANY_TYPE_URL) => type_url = input.read_string()?,
            Some(ANY_VALUE) => value = input.read_tokio_bytes()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((type_url, value))
}

/// The number of a field that has a length.
fn field(tag: u32) -> Option<u32> {
    (tag & 7 == 2).then_some(tag >> 3)
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
    message.type_url = request.api_version.type_url().to_owned();
    message.response_nonce.clone_from(&request.nonce);
    if let Some(reason) = &request.rejection {
        let detail = message.error_detail.mut_or_insert_default();
        detail.code = INVALID_ARGUMENT;
        detail.message.clone_from(reason);
    }
    message.write_to_bytes().expect("no field is required")
}
