//! What any program would need for the same: to receive the bytes by the same C-core, in a process of its
//! own and into one piece of memory; and to replace a file by the same bytes for good.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write, stdout};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use futures_util::{SinkExt, StreamExt};
use grpcio::{
    CallOption, ChannelBuilder, Client, EnvBuilder, GrpcSlice, Marshaller, MessageReader, Method,
    MethodType, WriteFlags,
};

use crate::used::{Used, own_cpu};

/// As long as a real ACK, which has a version, a nonce and a type URL.
const REQUEST: [u8; 160] = {
    // Field 7 is one that nobody knows, 157 bytes long.
    let mut request = [0; 160];
    request[0] = 7 << 3 | 2;
    request[1] = 0x80 | 157 & 0x7f;
    request[2] = 1;
    request
};

static STREAM: Method<Vec<u8>, Vec<u8>> = Method {
    ty: MethodType::Duplex,
    name: "/kuma.observability.v1.MonitoringAssignmentDiscoveryService/StreamMonitoringAssignments",
    req_mar: Marshaller { ser: write, de: read },
    resp_mar: Marshaller { ser: write, de: read },
};

fn write(message: &Vec<u8>, slice: &mut GrpcSlice) -> grpcio::Result<()> {
    *slice = GrpcSlice::from(message.as_slice());
    Ok(())
}

fn read(mut reader: MessageReader) -> grpcio::Result<Vec<u8>> {
    let mut message = Vec::with_capacity(reader.len());
    reader.read_to_end(&mut message).map_err(|error| grpcio::Error::Codec(error.into()))?;
    Ok(message)
}

/// Receives what comes from an address, says how long each message is and ACKs it, until the stream ends.
pub(crate) fn receive(address: &str) -> Result<(), Box<dyn Error>> {
    let environment = Arc::new(EnvBuilder::new().cq_count(1).build());
    let channel = ChannelBuilder::new(environment).max_receive_message_len(-1).connect(address);
    // With the last channel ends the thread that drives the stream.
    let client = Client::new(channel);
    let (mut requests, mut responses) = client.duplex_streaming(&STREAM, CallOption::default())?;
    block_on(async {
        requests.send((REQUEST.to_vec(), WriteFlags::default())).await?;
        while let Some(message) = responses.next().await {
            println!("{}", message?.len());
            stdout().flush()?;
            requests.send((REQUEST.to_vec(), WriteFlags::default())).await?;
        }
        Ok(())
    })
}

/// The bare client, running.
pub(crate) struct Receiver {
    used: Used,
    process: Child,
    lengths: BufReader<ChildStdout>,
}

impl Receiver {
    /// Starts one that connects to `host:port`.
    pub(crate) fn start(address: &str) -> Self {
        let mut process = Command::new("/proc/self/exe")
            .args(["receive", address])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program can be started again");
        let lengths = process.stdout.take().expect("its stdout is piped");
        Self { used: Used::by(process.id()), process, lengths: BufReader::new(lengths) }
    }

    /// The processor time that it has taken, when it has nothing more to do.
    pub(crate) fn cpu(&mut self) -> Duration {
        self.used.at_rest().cpu
    }

    /// When it had all of a message of so many bytes.
    pub(crate) fn wait_for(&mut self, length: usize) -> Instant {
        let mut line = String::new();
        self.lengths.read_line(&mut line).expect("a pipe can be read");
        let received = Instant::now();
        assert_eq!(line.trim(), length.to_string(), "the bare client's message");
        received
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Neither can fail for a child that is still ours.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How long it takes to replace a file.
pub(crate) struct Replaced {
    /// Until the new one is in its place.
    pub(crate) in_place: Duration,
    /// Until that outlives a loss of power.
    pub(crate) durable: Duration,
    /// Processor time.
    pub(crate) cpu: Duration,
}

/// Replaces a file in a folder by these bytes: write, fsync, rename, fsync of the folder.
pub(crate) fn replace(folder: &Path, bytes: &[u8]) -> Replaced {
    let (new, place) = (folder.join("floor.new"), folder.join("floor"));
    let cpu = own_cpu();
    let start = Instant::now();
    let mut file = File::create(&new).expect("a file can be made");
    file.write_all(bytes).expect("a file can be written");
    file.sync_all().expect("a file can be flushed");
    fs::rename(&new, &place).expect("a file can be renamed");
    let in_place = start.elapsed();
    let folder = File::open(folder).expect("a folder can be opened");
    folder.sync_all().expect("a folder can be flushed");
    Replaced { in_place, durable: start.elapsed(), cpu: own_cpu() - cpu }
}
