//! The connection's hands: does over the network what the machine wants done, one thing at a
//! time, and brings back what happens.

use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::mads::connection::{Event, NetworkAction};
use crate::mads::negotiation::{End, Protocol};
use crate::mads::session::Request;
use crate::mads::transport::address::Address;
use crate::mads::transport::background::{Background, BackgroundDied, Events};
use crate::mads::transport::diagnosis::diagnose;
#[cfg(feature = "grpc")]
use crate::mads::transport::grpc;
use crate::mads::transport::http;
use crate::mads::transport::resolver::{ResolveError, Resolver};

/// Does one thing after the other on behalf of the connection.
pub struct Network {
    resolver: Resolver,
    under_way: UnderWay,
    #[cfg(feature = "grpc")]
    grpc: grpc::Runtime,
    waker: Waker,
    woken: Receiver<()>,
}

/// What goes on over the network. Dropping it ends it.
enum UnderWay {
    Nothing,
    LookUp(Background),
    #[cfg(feature = "grpc")]
    Grpc(grpc::GrpcSource),
    Http(http::Poller),
}

/// Wakes whoever waits on the channel; a full one means that it is awake already.
struct ChannelWaker(Sender<()>);

impl Wake for ChannelWaker {
    fn wake(self: Arc<Self>) {
        let _ = self.0.try_send(());
    }
}

impl Network {
    /// Nothing is under way.
    pub fn new(resolver: Resolver) -> Self {
        let (sender, woken) = bounded(1);
        Self {
            resolver,
            under_way: UnderWay::Nothing,
            #[cfg(feature = "grpc")]
            grpc: grpc::Runtime::default(),
            waker: Waker::from(Arc::new(ChannelWaker(sender))),
            woken,
        }
    }

    /// Has a message whenever `poll` may have more to say.
    pub fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    /// What has happened, if anything.
    ///
    /// # Errors
    /// Where a thread that does the work is no more.
    pub fn poll(&mut self) -> Result<Option<Event>, BackgroundDied> {
        match &mut self.under_way {
            UnderWay::Nothing => Ok(None),
            UnderWay::LookUp(background) => background.poll(),
            #[cfg(feature = "grpc")]
            UnderWay::Grpc(stream) => Ok(stream.poll()),
            UnderWay::Http(poller) => poller.poll(),
        }
    }

    /// Does one thing. What comes of it is said by `poll`, unless it fails at once.
    pub fn perform(&mut self, action: NetworkAction) -> Option<Event> {
        match action {
            NetworkAction::Resolve => self.resolve(),
            NetworkAction::Diagnose(endpoint) => self.diagnose(endpoint.address),
            NetworkAction::Open(endpoint, protocol, request) => {
                self.open(endpoint.address, protocol, request)
            }
            NetworkAction::Send(request) => {
                match &mut self.under_way {
                    #[cfg(feature = "grpc")]
                    UnderWay::Grpc(stream) => stream.send(&request),
                    UnderWay::Http(poller) => poller.send(request),
                    UnderWay::Nothing | UnderWay::LookUp(_) => {}
                }
                None
            }
            NetworkAction::Close => {
                self.under_way = UnderWay::Nothing;
                None
            }
        }
    }

    fn resolve(&mut self) -> Option<Event> {
        let resolver = self.resolver.clone();
        let started = self.look_up("resolver", move |events| {
            let report = |probe| {
                events.send(Event::ProbeFinished(probe));
            };
            events.send(Event::Resolved(resolver.resolve(report)));
        });
        let error = started.err()?;
        Some(Event::Resolved(Err(ResolveError::Thread(error))))
    }

    fn diagnose(&mut self, address: Address) -> Option<Event> {
        let is_direct = self.resolver.http.proxies.is_direct(&address);
        let look = move |events: &Events| {
            events.send(Event::Diagnosed(diagnose(&address)));
        };
        let is_started = is_direct && self.look_up("diagnosis", look).is_ok();
        (!is_started).then_some(Event::Diagnosed(None))
    }

    fn look_up(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&Events) + Send + 'static,
    ) -> io::Result<()> {
        let background = Background::spawn(name, self.waker.clone(), work)?;
        self.under_way = UnderWay::LookUp(background);
        Ok(())
    }

    fn open(&mut self, address: Address, protocol: Protocol, request: Request) -> Option<Event> {
        match self.open_source(address, protocol, request) {
            Ok(source) => {
                self.under_way = source;
                None
            }
            Err(end) => Some(Event::Ended(end)),
        }
    }

    fn open_source(
        &mut self,
        address: Address,
        protocol: Protocol,
        request: Request,
    ) -> Result<UnderWay, End> {
        let waker = self.waker.clone();
        let http = &self.resolver.http;
        match protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc(_) => {
                let proxy = http.proxies.on_the_way_to(&address);
                let proxy = proxy.map_err(|error| End::outage(error.to_string()))?;
                let opening = grpc::Opening {
                    runtime: self.grpc.clone(),
                    address,
                    proxy: proxy.cloned(),
                    request,
                    waker,
                };
                opening.begin().map(UnderWay::Grpc)
            }
            #[cfg(not(feature = "grpc"))]
            Protocol::Grpc(_) => unreachable!("gRPC is not negotiated where it is not built in"),
            Protocol::Http => http::Poller::open(http.clone(), address, request, waker)
                .map(UnderWay::Http)
                .map_err(|error| End::outage(format!("cannot start a thread: {error}"))),
        }
    }
}
