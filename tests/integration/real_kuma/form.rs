//! The forms of address that an operator can give, and what must come of each.

use std::path::Path;

use crate::real_kuma::control_plane::Ports;
use crate::real_kuma::version::Version;
use crate::support::harness::Launch;

/// A form of address.
#[derive(Debug)]
pub(crate) struct Form {
    scheme: &'static str,
    port: Port,
    trust: Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Api,
    ApiTls,
    Mads,
}

/// What is given as `--ca-cert-file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// The certificate that the control plane has made for itself.
    Own,
    /// Nothing.
    Nothing,
    /// The certificate that another control plane has made for itself.
    Another,
}

/// What must come of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The control plane is followed.
    Followed,
    /// It is refused, with these words.
    Refused(&'static str),
}

/// A form of address whose certificate, if any, is the control plane's own.
const fn form(scheme: &'static str, port: Port) -> Form {
    Form { scheme, port, trust: Trust::Own }
}

/// All of them.
pub(crate) const FORMS: [Form; 8] = [
    form("grpc", Port::Mads),
    form("http", Port::Mads),
    form("http", Port::Api),
    form("https", Port::ApiTls),
    form("grpcs", Port::Mads),
    form("https", Port::Mads),
    Form { scheme: "https", port: Port::ApiTls, trust: Trust::Nothing },
    Form { scheme: "https", port: Port::ApiTls, trust: Trust::Another },
];

impl Form {
    /// The form as a table shows it.
    pub(crate) fn name(&self) -> String {
        let port = match self.port {
            Port::Api => 5681,
            Port::ApiTls => 5682,
            Port::Mads => 5676,
        };
        let trust = match self.trust {
            Trust::Own if self.is_tls() => ", its own certificate is trusted",
            Trust::Own => "",
            Trust::Nothing => ", without --ca-cert-file",
            Trust::Another => ", another control plane's certificate is trusted",
        };
        format!("{}://HOST:{port}{trust}", self.scheme)
    }

    fn is_tls(&self) -> bool {
        matches!(self.scheme, "https" | "grpcs")
    }

    /// What must come of it.
    pub(crate) fn verdict(&self, version: Version, mads_tls: bool) -> Verdict {
        use Verdict::{Followed, Refused};
        match (self.port, self.trust) {
            (Port::Mads, _) if self.is_tls() && !mads_tls => Refused("no TLS is spoken there"),
            (Port::Mads, _) if !self.is_tls() && mads_tls => Refused("TLS is spoken there"),
            (Port::ApiTls, _) if !version.has_api_tls() => Refused("no TLS is spoken there"),
            (_, Trust::Nothing | Trust::Another) => Refused("certificate"),
            _ => Followed,
        }
    }

    /// Whether any control plane is followed by it.
    pub(crate) fn may_be_followed(&self) -> bool {
        self.trust == Trust::Own
    }

    /// The address.
    pub(crate) fn url(&self, ports: &Ports) -> String {
        let port = match self.port {
            Port::Api => ports.api,
            Port::ApiTls => ports.api_tls,
            Port::Mads => ports.mads,
        };
        format!("{}://127.0.0.1:{port}", self.scheme)
    }

    /// A launch with what goes with the address.
    pub(crate) fn trusting(&self, launch: Launch, own: &Path, another: &Path) -> Launch {
        let file = match self.trust {
            Trust::Own => own,
            Trust::Nothing => return launch,
            Trust::Another => another,
        };
        launch.argument("--ca-cert-file").argument(file)
    }
}
