//! The certificate that a control plane makes for itself where it was given none: it signs itself,
//! says that it is an issuer's (`CA:TRUE`), and serves by itself. And all those that are refused.

use kuma_stand_in::{Authority, Event, Identity, Tls, Validity};

use crate::support::check::{check, failed, passed};
use crate::support::harness::Launch;
use crate::support::mesh::{EMPTY, backend, file_v1};
use crate::support::secure::{CONNECTED, api_url, grpcs_url, plane};

const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A launch with a certificate as `--ca-cert-file`.
fn given(pem: &str, address: &str) -> Launch {
    let launch = Launch::follow(address).argument("--ca-cert-file=ca.pem");
    launch.put("ca.pem", pem);
    launch
}

/// A check that trusts what a launch trusts.
fn checked_with(launch: &Launch, address: &str) -> Launch {
    check(address).argument("--ca-cert-file").argument(launch.folder().join("ca.pem"))
}

#[test]
fn a_control_plane_is_trusted_by_exactly_its_own_certificate() {
    let own = Identity::self_signed(&NAMES, Validity::Valid);
    let plane = plane(&Tls::new(&own));
    plane.publish(&[backend(0)]);
    for address in [api_url(&plane), grpcs_url(&plane)] {
        let launch = given(&own.certificate_pem, &address);
        let daemon = launch.start();
        daemon.wait_for_log(CONNECTED);
        daemon.wait_for_file(&file_v1(&[backend(0)]));
        assert_eq!(daemon.lines_with("WARN"), 0);

        let told = passed(&checked_with(&launch, &address));
        let line = "the certificate of 127.0.0.1 is issued by itself and valid until ";
        assert!(told.contains(line), "{told}");
    }
}

#[test]
fn the_file_may_hold_the_certificates_of_several_control_planes() {
    let own = [(), ()].map(|()| Identity::self_signed(&NAMES, Validity::Valid));
    let authority = Authority::new("the authority");
    let issued = authority.server(&NAMES, Validity::Valid);
    let pem = format!("{}{}{}", own[0].certificate_pem, own[1].certificate_pem, authority.pem());
    for identity in own.iter().chain([&issued]) {
        let plane = plane(&Tls::new(identity));
        given(&pem, &api_url(&plane)).start().wait_for_file(EMPTY);
    }
}

/// A certificate that a server is not trusted with.
struct Refused {
    certificate: Identity,
    validity: Validity,
    /// What is given as `--ca-cert-file`.
    given: String,
    /// By whom it is issued, as `check` has it.
    issuer: &'static str,
    /// What is logged, and shown by `check`.
    told: &'static str,
}

fn refusals() -> Vec<Refused> {
    use Validity::{Expired, NotYet, Valid};
    const UNKNOWN: &str = "the server's certificate is of an unknown issuer; \
                           give the issuer's certificate as --ca-cert-file";
    const NOT_IN_FILE: &str = "the server shows an issuer's certificate (CA:TRUE) as its own, and it \
                               is not in --ca-cert-file; put exactly this certificate there";
    const OTHER_NAMES: &str = "the server's certificate is for another name (other.invalid, \
                               10.1.2.3, not 127.0.0.1)";
    const EXPIRED: &str =
        "the server's certificate has expired (on 2001-01-01T00:00:00Z); renew it there";
    const NOT_YET: &str = "the server's certificate is not valid yet (until 2998-01-01T00:00:00Z); \
                           check both clocks";
    let others = ["other.invalid", "10.1.2.3"];
    let own = |names: &[&str], validity, told| {
        let certificate = Identity::self_signed(names, validity);
        Refused {
            given: certificate.certificate_pem.clone(),
            certificate,
            validity,
            issuer: "itself",
            told,
        }
    };
    let issued = |authority: &Authority, issuer, names: &[&str], validity, told| Refused {
        certificate: authority.server(names, validity),
        validity,
        given: authority.pem(),
        issuer,
        told,
    };
    let (good, called) = (Authority::new("good"), "\"CN=good\"");
    let none = Authority::that_is_none("none");
    let may_not = Authority::that_may_not_sign("may not");
    vec![
        Refused {
            given: Identity::self_signed(&NAMES, Valid).certificate_pem,
            ..own(&NAMES, Valid, NOT_IN_FILE)
        },
        own(&others, Valid, OTHER_NAMES),
        own(&NAMES, Expired, EXPIRED),
        own(&NAMES, NotYet, NOT_YET),
        issued(&none, "\"CN=none\"", &NAMES, Valid, UNKNOWN),
        issued(&may_not, "\"CN=may not\"", &NAMES, Valid, UNKNOWN),
        Refused {
            given: Authority::new("another").pem(),
            ..issued(&good, called, &NAMES, Valid, UNKNOWN)
        },
        issued(&good, called, &others, Valid, OTHER_NAMES),
        issued(&good, called, &NAMES, Expired, EXPIRED),
        issued(&good, called, &NAMES, NotYet, NOT_YET),
    ]
}

#[test]
fn anything_else_is_refused_in_plain_words() {
    for refused in refusals() {
        let plane = plane(&Tls::new(&refused.certificate));
        for address in [api_url(&plane), grpcs_url(&plane)] {
            let launch = given(&refused.given, &address);
            let daemon = launch.start();
            let line = daemon.wait_for_trouble();
            assert!(line.contains(refused.told), "{}: {line}", refused.told);
            assert_eq!(daemon.file(), None, "{}", refused.told);

            let told = failed(&checked_with(&launch, &address));
            assert!(told.contains(refused.told), "{}: {told}", refused.told);
            let year = if refused.validity == Validity::Expired { 2001 } else { 2999 };
            let shown = format!(
                "the certificate of 127.0.0.1 is issued by {} and valid until Jan  1 00:00:00 {year}",
                refused.issuer
            );
            assert!(told.contains(&shown), "{shown}: {told}");
        }
        let is_request = |event: &Event| matches!(event, Event::Http { .. } | Event::Request(_));
        assert!(!plane.events().seen().iter().any(is_request));
    }
}

#[test]
fn the_system_trust_store_says_the_same_of_it() {
    let own = Identity::self_signed(&NAMES, Validity::Valid);
    let plane = plane(&Tls::new(&own));
    let line = Launch::follow(&api_url(&plane)).start().wait_for_trouble();
    let expected =
        "(CA:TRUE) as its own, and it is not in --ca-cert-file; put exactly this certificate there";
    assert!(line.contains(expected), "{line}");
}
