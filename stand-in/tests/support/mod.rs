//! Clients for the tests: a gRPC stream and an HTTP connection, both as bare as can be.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test uses its part")]
#![allow(unreachable_pub, reason = "a part of each test that uses it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use futures_util::{SinkExt, StreamExt};
use grpcio::{
    CallOption, ChannelBuilder, Client, ClientDuplexReceiver, ClientDuplexSender, EnvBuilder,
    GrpcSlice, Marshaller, MessageReader, Method, MethodType, RpcStatus, WriteFlags,
};
use kuma_stand_in::ApiVersion;
use kuma_stand_in::proto::discovery::{DiscoveryRequest, DiscoveryResponse, Status};
use protobuf::Message;

/// Long enough for anything that is to happen.
pub const SOON: Duration = Duration::from_secs(20);

/// Long enough to believe that nothing happens.
pub const QUIET: Duration = Duration::from_millis(150);

/// A gRPC stream of discovery requests and responses.
pub struct Stream {
    api_version: ApiVersion,
    sender: ClientDuplexSender<DiscoveryRequest>,
    receiver: ClientDuplexReceiver<Vec<u8>>,
    _client: Client,
}

impl Stream {
    pub fn open(port: u16, api_version: ApiVersion) -> Stream {
        let environment = Arc::new(EnvBuilder::new().cq_count(1).build());
        let channel = ChannelBuilder::new(environment)
            .use_local_subchannel_pool(true)
            .enable_http_proxy(false)
            .max_receive_message_len(-1)
            .connect(&format!("127.0.0.1:{port}"));
        let client = Client::new(channel);
        let name = format!("/{}/StreamMonitoringAssignments", api_version.service());
        let method = Method {
            ty: MethodType::Duplex,
            name: name.leak(),
            req_mar: Marshaller {
                ser: |request: &DiscoveryRequest, slice: &mut GrpcSlice| {
                    *slice = GrpcSlice::from(request.write_to_bytes().unwrap());
                    Ok(())
                },
                de: |_: MessageReader| unreachable!(),
            },
            resp_mar: Marshaller {
                ser: |_: &Vec<u8>, _: &mut GrpcSlice| unreachable!(),
                de: |mut reader: MessageReader| {
                    let mut bytes = Vec::new();
                    reader.read_to_end(&mut bytes).unwrap();
                    Ok(bytes)
                },
            },
        };
        let (sender, receiver) = client.duplex_streaming(&method, CallOption::default()).unwrap();
        Stream { api_version, sender, receiver, _client: client }
    }

    pub fn request(&mut self, version: &str, nonce: &str, rejected: Option<&str>) {
        let mut request = DiscoveryRequest {
            version_info: version.to_owned(),
            response_nonce: nonce.to_owned(),
            type_url: self.api_version.type_url().to_owned(),
            ..Default::default()
        };
        request.node.mut_or_insert_default().id = "test".to_owned();
        request.error_detail = rejected
            .map(|message| Status { code: 3, message: message.to_owned(), ..Default::default() })
            .into();
        self.send(&request);
    }

    pub fn send(&mut self, request: &DiscoveryRequest) {
        // A stream that has ended says why to its reader.
        let _ = block_on(self.sender.send((request.clone(), WriteFlags::default())));
    }

    pub fn bytes(&mut self) -> Vec<u8> {
        block_on(self.receiver.next()).unwrap().unwrap()
    }

    pub fn response(&mut self) -> DiscoveryResponse {
        DiscoveryResponse::parse_from_bytes(&self.bytes()).unwrap()
    }

    pub fn end(&mut self) -> RpcStatus {
        match block_on(self.receiver.next()) {
            None => RpcStatus::ok(),
            Some(Err(grpcio::Error::RpcFailure(status))) => status,
            Some(other) => panic!("no end: {other:?}"),
        }
    }
}

/// An HTTP connection that stays open between requests.
pub struct Http<S: Read + Write = TcpStream> {
    reader: BufReader<S>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Http {
    pub fn connect(port: u16) -> Http {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Http::over(stream)
    }
}

impl<S: Read + Write> Http<S> {
    pub fn over(stream: S) -> Http<S> {
        Http { reader: BufReader::new(stream) }
    }

    pub fn send(&mut self, request: &str) -> std::io::Result<()> {
        self.reader.get_mut().write_all(request.as_bytes())
    }

    /// A poll of a client that has this version.
    pub fn poll(&mut self, version: &str, timeout: &str) -> Answer {
        let body = format!(r#"{{"version_info":"{version}","node":{{"id":"test"}}}}"#);
        self.post(&format!("/v3/discovery:monitoringassignments?fetch-timeout={timeout}"), &body)
    }

    pub fn post(&mut self, target: &str, body: &str) -> Answer {
        self.send(&format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .unwrap();
        self.answer()
    }

    pub fn get(&mut self, target: &str, headers: &str) -> Answer {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).unwrap();
        self.answer()
    }

    pub fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if head.contains("Transfer-Encoding: chunked") {
            self.chunks()
        } else if let Some((_, rest)) = head.split_once("Content-Length: ") {
            let length: u64 = rest.split("\r\n").next().unwrap().parse().unwrap();
            let mut body = String::new();
            let reader = self.reader.by_ref();
            reader.take(length).read_to_string(&mut body).unwrap();
            body
        } else {
            String::new()
        };
        Answer { status, head, body }
    }

    fn chunks(&mut self) -> String {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let length = usize::from_str_radix(line.trim(), 16).unwrap();
            let before = body.len();
            body.resize(before + length + 2, 0);
            self.reader.read_exact(&mut body[before..]).unwrap();
            body.truncate(before + length);
            if length == 0 {
                return String::from_utf8(body).unwrap();
            }
        }
    }

    /// So many bytes.
    pub fn read_exactly(&mut self, length: usize) {
        self.reader.read_exact(&mut vec![0; length]).unwrap();
    }

    /// Everything until the connection ends.
    pub fn rest(&mut self) -> std::io::Result<String> {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest)?;
        Ok(rest)
    }
}
